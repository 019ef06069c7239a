# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The 3D scene in the browser: bodies, cameras, floor and trails.

A browser without a graphics card must manage: a body is three instanced meshes of few vertices, lines have the width of
pixels, light comes from lamps and not from an image of surroundings, and there are no shadows.
"""

from __future__ import annotations

import logging
import threading
import webbrowser
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import FloatArray, IntArray, UInt8Array
from ..colours import joint_colours, rgb_of
from ..geometry.alignment import up_direction
from ..messages.diagnostics import Level, Status
from ..skeleton import BODY17, Skeleton
from ..types import Bodies3D, Camera, CameraRig
from .instant import Instant
from .server import SceneServer
from .settings import ViewConfig
from .shapes import (
    Ellipsoids,
    around,
    balls,
    bones,
    centre_of_view,
    floor_lines,
    from_z,
    known_points,
    sphere,
    to_wxyz,
    uncertainties,
    unturned,
)

if TYPE_CHECKING:
    import viser
    from viser.infra import StateSerializer


_LOG = logging.getLogger(__name__)

_LEVEL_COLOURS = ((60, 160, 90), (220, 150, 20), (205, 45, 40))
_UNKNOWN_COLOUR = (120, 130, 145)
_GHOST_COLOUR = (150, 150, 150)
_FLOOR_COLOUR = (196, 203, 211)
_JOINT_RADIUS_M, _TRAIL_RADIUS_M = 0.026, 0.012
_FRUSTUM_PX, _GRID_PX, _GHOST_M = 2.0, 1.0, 0.012
_UNCERTAINTY_OPACITY = 0.22
# A trail has so many dots, one every third set.
_TRAIL_DOTS, _TRAIL_STEP = 30, 3
_IMAGE_PX, _STRIP_PX = 360, 200
# The people fill this share of the image's height, seen with this angle; a body has at least this radius.
_FILLED, _FIELD_OF_VIEW_RAD, _LEAST_RADIUS_M = 0.8, float(np.radians(50.0)), 0.8


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn besides the bodies."""

    images: bool = True
    covariance: bool = True
    trails: bool = True
    names: bool = True


class Stage(AbstractContextManager['Stage']):
    """A scene that browsers at ``url`` look at, with viser's panel ``gui``; a context manager."""

    def __init__(self, host: str = '127.0.0.1', port: int = 0, *, exact_port: bool = False) -> None:
        """Serve.

        Args:
            host: address to listen on; 127.0.0.1 for this machine only.
            port: the first to try.
            exact_port: fail rather than take another.

        Raises:
            ConfigError: if the address or port cannot be had.
        """
        self._page = SceneServer(host, port, exact_port=exact_port)
        self._server, self.url = self._page.viser, self._page.url
        self.gui: viser.GuiApi = self._server.gui
        # Where a processor draws, shadows and light from surroundings cost more than all that is lit.
        self._server.scene.configure_default_lights(cast_shadow=False)
        self._server.scene.configure_environment_map(None)
        self._server.scene.add_light_hemisphere('/sky', ground_color=(190, 190, 200), intensity=0.5)
        # Where everybody begins: what is looked at, the way to the eye, how far it is, and how wide the people are.
        self._up: FloatArray = np.array([0.0, 0.0, 1.0])
        self._start: tuple[FloatArray, FloatArray, float, float] = np.zeros(3), self._up, 3.0, 0.0
        self._server.on_client_connect(self._fit)
        self._lock = threading.RLock()
        self._rig: CameraRig | None = None
        self._bodies: dict[int, _BodyNodes] = {}
        self._frusta: dict[str, viser.CameraFrustumHandle] = {}
        self._images: dict[str, UInt8Array] = {}
        self._ghost: viser.LineSegmentsHandle | None = None
        self.on_body: Callable[[int], None] = lambda body_id: None

    @property
    def watched(self) -> bool:
        """Whether a browser looks."""
        return bool(self._server.get_clients())

    def recorder(self) -> StateSerializer:
        """Return viser's recorder of the scene: ``insert_sleep`` between changes, then ``as_html``."""
        return self._server.get_scene_serializer()

    def set_rig(self, rig: CameraRig | None, floor_m: float = 0.0, people: FloatArray | None = None) -> None:
        """Draw cameras, if there is a rig, and floor, ``floor_m`` along up, and look at people.

        ``people`` are points (N, 3) m of theirs; None to look at what the cameras look at, from where all is in view.
        """
        scene = self._server.scene
        with self._lock:
            for frustum in self._frusta.values():
                frustum.remove()
            self._frusta.clear()
            self._images.clear()
            self._rig = rig
            self._up = up_direction(rig)
            scene.set_up_direction(tuple(self._up))
            scene.add_line_segments(
                '/floor', floor_lines(), _FLOOR_COLOUR, thickness=_GRID_PX, thickness_units='screen',
                wxyz=tuple(from_z(self._up)), position=tuple(floor_m * self._up),
            )
            scene.add_frame('/world', axes_length=0.25, axes_radius=0.008, position=tuple(floor_m * self._up))
            centre = around(people)[0] if people is not None else centre_of_view(rig, floor_m, self._up)
            for camera in rig.cameras if rig is not None else ():
                self._frusta[camera.name] = self._add_frustum(camera, centre)
            self._set_viewer(rig, centre, people)

    def _add_frustum(self, camera: Camera, centre: FloatArray) -> viser.CameraFrustumHandle:
        lens = camera.intrinsics
        distance = float(np.linalg.norm(camera.position_m - centre))
        frustum = self._server.scene.add_camera_frustum(
            f'/cameras/{camera.name}', _field_of_view(camera), lens.width / lens.height,
            scale=min(max(0.1 * distance, 0.12), 0.8), thickness=_FRUSTUM_PX, thickness_units='screen',
            color=_UNKNOWN_COLOUR, cast_shadow=False, receive_shadow=False,
            wxyz=to_wxyz(camera.cam_from_world[:, :3].T), position=tuple(camera.position_m),
        )
        self._server.scene.add_label(
            f'/cameras/{camera.name}/name', camera.name, font_screen_scale=0.8, anchor='bottom-center'
        )

        @frustum.on_click
        def _(event: viser.SceneNodePointerEvent[viser.CameraFrustumHandle]) -> None:
            self.look_through(camera.name, event.client)

        return frustum

    def mark_floor(self, middles: FloatArray, side_m: float) -> None:
        """Draw squares of the floor of a world whose z is up: ``middles`` (N, 2) m, sides of ``side_m``."""
        corners = 0.48 * side_m * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
        ends = corners[np.array([(0, 1), (1, 2), (2, 3), (3, 0)])]
        lines = np.zeros((len(middles), 4, 2, 3), np.float32)
        lines[..., :2] = middles[:, None, None] + ends
        if len(lines):
            self._server.scene.add_line_segments(
                '/walked', lines.reshape(-1, 2, 3), _LEVEL_COLOURS[0], thickness=_FRUSTUM_PX, thickness_units='screen'
            )

    def look_at(self, people: FloatArray) -> None:
        """Let every browser look at people, points (N, 3) m of theirs."""
        self._set_viewer(self._rig, around(people)[0], people)

    def _set_viewer(self, rig: CameraRig | None, centre: FloatArray, people: FloatArray | None) -> None:
        away, cameras_m = np.array([1.0, -1.0, 0.0]), 3.0
        if rig is not None:
            away = rig.cameras[0].position_m - centre
            cameras_m = max(float(np.linalg.norm(camera.position_m - centre)) for camera in rig.cameras)
        away = away - self._up * float(away @ self._up)
        length = float(np.linalg.norm(away))
        away = away / length if length > 1e-6 else np.cross(self._up, (0.6, 0.8, 0.1))
        # Beside the first camera and behind it, so that nothing stands in the way.
        turned = np.cos(0.6) * away + np.sin(0.6) * np.cross(self._up, away)
        tilted = turned + (0.5 if people is None else 0.25) * self._up
        distance_m, across_m = min(max(1.5 * cameras_m, 3.0), 20.0), 0.0
        if people is not None:
            distance_m = max(around(people)[1], _LEAST_RADIUS_M) / np.sin(_FIELD_OF_VIEW_RAD / 2.0) / _FILLED
            across_m = around(people - np.outer(people @ self._up, self._up))[1]
        self._start = centre, tilted / np.linalg.norm(tilted), distance_m, across_m
        self._server.initial_camera.fov = _FIELD_OF_VIEW_RAD
        self._server.initial_camera.up = tuple(self._up)
        self._server.initial_camera.position = tuple(self._eye(1.0))
        self._server.initial_camera.look_at = tuple(centre)
        for client in self._server.get_clients().values():
            self._fit(client)

    def _eye(self, aspect: float) -> FloatArray:
        """Return where (3,) m a browser whose image is ``aspect`` times as wide as high begins."""
        centre, way, distance_m, across_m = self._start
        half_rad = float(np.arctan(np.tan(_FIELD_OF_VIEW_RAD / 2.0) * aspect))
        return np.asarray(centre + max(distance_m, across_m / np.sin(half_rad) / _FILLED) * way)

    def _fit(self, client: viser.ClientHandle) -> None:
        """Put a browser where it shows all people: a phone is farther away, and who comes back looks at what is new."""
        self._put(client, self._up, self._eye(client.camera.aspect), self._start[0], _FIELD_OF_VIEW_RAD)

    def look_through(self, name: str, client: viser.ClientHandle | None = None) -> None:
        """Put a browser (None: all) where a camera is."""
        if self._rig is None:
            return
        camera = self._rig[name]
        self._put(client, -camera.cam_from_world[1, :3], camera.position_m,
                  camera.position_m + 3.0 * camera.cam_from_world[2, :3], _field_of_view(camera))

    def look_around(self) -> None:
        """Put every browser back to where it began."""
        for client in self._server.get_clients().values():
            self._fit(client)

    def _put(
        self, client: viser.ClientHandle | None, up: FloatArray, position: FloatArray, look_at: FloatArray,
        fov_rad: float,
    ) -> None:
        for one in [client] if client is not None else list(self._server.get_clients().values()):
            with one.atomic():
                one.camera.up_direction, one.camera.position = up, position
                one.camera.look_at, one.camera.fov = look_at, fov_rad

    def show(self, instant: Instant, shown: Shown, images_of: Collection[str] | None = None) -> None:
        """Draw an instant; only the cameras ``images_of`` (None: all) get a new image."""
        with self._lock, self._server.atomic():
            bodies = instant.bodies
            if bodies is None:
                bodies = Bodies3D.empty(instant.stamp_ns, '', BODY17)
            present = bodies.body_ids.tolist()
            for body_id in set(self._bodies) - set(present):
                self._bodies.pop(body_id).root.remove()
            for row, body_id in enumerate(present):
                if body_id not in self._bodies:
                    self._bodies[body_id] = _BodyNodes(
                        self._server.scene, body_id, bodies.skeleton, self._up, lambda clicked: self.on_body(clicked))
                self._bodies[body_id].update(bodies.xyz[row], bodies.covariance[row], shown)
            self._show_cameras(instant, shown, images_of)

    def forget_trails(self) -> None:
        """Let trails begin anew: time has jumped."""
        with self._lock:
            for nodes in self._bodies.values():
                nodes.trail.clear()

    def show_ghost(self, bodies: Bodies3D | None) -> None:
        """Draw other poses of the same instant as thin grey lines, to compare; None: none."""
        with self._lock:
            if self._ghost is not None:
                self._ghost.remove()
                self._ghost = None
            if bodies is None:
                return
            segments = bodies.xyz[:, np.array(bodies.skeleton.edges)].reshape(-1, 2, 3)
            segments = segments[np.isfinite(segments).all((1, 2))]
            if len(segments):
                self._ghost = self._server.scene.add_line_segments(
                    '/ghost', segments.astype(np.float32), _GHOST_COLOUR, thickness=_GHOST_M
                )

    def _show_cameras(self, instant: Instant, shown: Shown, images_of: Collection[str] | None) -> None:
        for name, frustum in self._frusta.items():
            colour = level_colour(instant.camera(name))
            if tuple(frustum.color) != colour:
                frustum.color = colour
            if shown.images and images_of is not None and name not in images_of:
                continue
            image = self._image(name, instant) if shown.images else None
            self._images.pop(name, None)
            if image is not None:
                self._images[name] = image
            if image is not None or frustum.image is not None:
                frustum.image = image

    def strip(self) -> UInt8Array | None:
        """Return the cameras' last images side by side, (H, W, 3) RGB; None without any."""
        with self._lock:
            images = [self._images[name] for name in self._frusta if name in self._images]
        if not images:
            return None
        from .drawing import side_by_side

        return side_by_side(images, _STRIP_PX)

    def _image(self, name: str, instant: Instant) -> UInt8Array | None:
        """Return a camera's image with the reprojected bodies, RGB; None without one."""
        frame = instant.frames.get(name)
        if frame is None or self._rig is None:
            return None
        # The first bodies are drawn without what images need.
        from .drawing import overlay

        bodies = instant.bodies
        if bodies is None:
            bodies = Bodies3D.empty(instant.stamp_ns, self._rig.world_frame_id, BODY17)
        height = min(_IMAGE_PX, frame.image.shape[0])
        drawn = overlay(self._rig.subset([name]), {name: frame}, instant.keypoints, bodies, height_px=height)
        return np.ascontiguousarray(drawn[..., ::-1])

    def __exit__(self, *_: object) -> None:
        self._page.close()


class _BodyNodes:
    """What is drawn of one body: joints and bones in one mesh, its uncertainty and its trail in others, and its id."""

    def __init__(
        self, scene: viser.SceneApi, body_id: int, skeleton: Skeleton, up: FloatArray, clicked: Callable[[int], None]
    ) -> None:
        self._edges, self._up = np.array(skeleton.edges), up
        joints = joint_colours(skeleton, body_id)
        figure = np.concatenate([joints, joints[self._edges[:, 1]]])
        root, ball, dot = f'/bodies/{body_id}', sphere(5, 8), sphere(3, 4)
        self.root = scene.add_frame(root, show_axes=False)
        self._figure = _add_spheres(scene, f'{root}/figure', ball, figure)
        self._spread = _add_spheres(scene, f'{root}/spread', ball, joints, _UNCERTAINTY_OPACITY)
        self._trail = _add_spheres(scene, f'{root}/trail', dot, np.tile(rgb_of(body_id), (_TRAIL_DOTS, 1)))
        self._name = scene.add_label(f'{root}/name', f'{body_id}', anchor='bottom-center')
        self.trail: deque[FloatArray] = deque(maxlen=_TRAIL_DOTS)
        self._sets = 0
        for handle in (self._figure, self._spread):
            handle.on_click(lambda _: clicked(body_id))

    def update(self, xyz: FloatArray, covariance: FloatArray, shown: Shown) -> None:
        known = known_points(xyz)
        if known[0] and self._sets % _TRAIL_STEP == 0:
            self.trail.append(xyz[0].copy())
        self._sets += 1
        joints = balls(xyz, _JOINT_RADIUS_M)
        _set_shapes(self._figure, joints.joined(bones(xyz[self._edges])))
        self._spread.visible = shown.covariance
        if shown.covariance:
            _set_shapes(self._spread, uncertainties(joints.centres, covariance, known))
        self._trail.visible = shown.trails and len(self.trail) > 1
        if self._trail.visible:
            dots = np.full((_TRAIL_DOTS, 3), np.nan)
            dots[:len(self.trail)] = self.trail
            _set_shapes(self._trail, balls(dots, _TRAIL_RADIUS_M))
        self._name.visible = shown.names and bool(known.any())
        if self._name.visible:
            top = xyz[known][(xyz[known] @ self._up).argmax()]
            self._name.position = top + 0.12 * self._up


def _add_spheres(
    scene: viser.SceneApi, name: str, unit: tuple[FloatArray, IntArray], colours: FloatArray,
    opacity: float | None = None,
) -> viser.BatchedMeshHandle:
    """Add as many spheres, each a ``unit`` sphere of vertices and triangles, as colours (N, 3), without a size yet."""
    nowhere = np.zeros((len(colours), 3), np.float32)
    return scene.add_batched_meshes_simple(
        name, *unit, unturned(len(colours)), nowhere, batched_scales=nowhere, batched_colors=colours.astype(np.uint8),
        opacity=opacity, lod='off', cast_shadow=False, receive_shadow=False,
    )


def _set_shapes(handle: viser.BatchedMeshHandle, shapes: Ellipsoids) -> None:
    handle.batched_positions = shapes.centres.astype(np.float32)
    handle.batched_wxyzs = shapes.wxyz.astype(np.float32)
    handle.batched_scales = shapes.half_axes.astype(np.float32)


def level_colour(status: Status | None) -> tuple[int, int, int]:
    """Return the colour of a camera's frustum: green, yellow, red; grey without a status."""
    return _UNKNOWN_COLOUR if status is None else _LEVEL_COLOURS[min(status.level, Level.ERROR)]


def _field_of_view(camera: Camera) -> float:
    """Return the vertical angle of view, rad, as of an image centred on the optical axis."""
    lens = camera.intrinsics
    return 2.0 * float(np.arctan2(lens.height, 2.0 * lens.K[1, 1]))


def serve(config: ViewConfig) -> Stage:
    """Return a stage on the configured port, and say where it is."""
    stage = Stage(config.host, config.port or 8080, exact_port=config.port != 0)
    print(f'Look at {stage.url}  (Ctrl-C ends)', flush=True)
    if config.browser and not webbrowser.open(stage.url):
        _LOG.warning('No browser could be opened here; open %s in one.', stage.url)
    return stage
