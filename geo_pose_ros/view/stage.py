"""The 3D scene in the browser: bodies, cameras, floor and trails. The only module that imports viser.

viser serves its page, three.js included, from this machine; nothing is asked of another. Colours tell bodies apart;
a body's left is lighter, its right darker.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..geometry.rigid import to_quaternion
from ..skeleton import BODY17, FloatArray, Skeleton
from ..types import Bodies3D, Camera, CameraRig, UInt8Array
from .figures import overlay
from .playback import CameraState, Instant

BoolArray = NDArray[np.bool_]
_LOG = logging.getLogger(__name__)

_COLOURS = np.array(
    [(220, 100, 0), (10, 105, 200), (10, 135, 85), (180, 55, 145), (100, 85, 225), (150, 115, 0), (30, 140, 165)], float
)
_STATE_COLOURS = ((60, 160, 90), (220, 150, 20), (205, 45, 40))
_UNKNOWN_STATE = (120, 130, 145)
_GHOST = (150, 150, 150)
_JOINT_RADIUS_M, _BONE_M = 0.025, 0.022
# An ellipsoid of two standard deviations holds three quarters of what is normal in 3D.
_SIGMAS = 2.0
_TRAIL_SETS = 90
_PICTURE_PX = 360


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn besides the bodies."""

    pictures: bool = True
    covariance: bool = True
    trails: bool = True
    names: bool = True


class Stage:
    """A scene that browsers at ``url`` look at; a context manager."""

    def __init__(self, host: str = '127.0.0.1', port: int = 0, *, exact_port: bool = False) -> None:
        """Serve.

        Args:
            host: address to listen on; 127.0.0.1 for this machine only.
            port: the first to try.
            exact_port: fail rather than take another.

        Raises:
            ConfigError: if the address or port cannot be had.
        """
        self._check_port(host, port, exact_port)
        try:
            import viser
        except ImportError as error:
            raise ConfigError(
                f'The viewer needs the Python package viser ({error}). Install it: python3 -m pip install viser'
            ) from error
        # It prints a banner of its own, and logs every browser that comes and goes.
        logging.getLogger('websockets.server').setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()):
            self._server: Any = viser.ViserServer(host=host, port=port, verbose=False)
        self.url = f'http://{"localhost" if host in ("127.0.0.1", "0.0.0.0") else host}:{self._server.get_port()}'
        # Its share button would open a tunnel to somebody else's server.
        setattr(self._server, 'request_share_url', _no_tunnel)  # noqa: B010 - the checker refuses to replace a method
        self._server.gui.configure_theme(show_logo=False, show_share_button=False, control_width='medium')
        # Shadows cost most of the time where a processor draws.
        self._server.scene.configure_default_lights(cast_shadow=False)
        self._lock = threading.RLock()
        self._rig: CameraRig | None = None
        self._up: FloatArray = np.array([0.0, 0.0, 1.0])
        self._bodies: dict[int, _BodyNodes] = {}
        self._frusta: dict[str, Any] = {}
        self._ghost: Any = None
        self._sphere = _sphere()
        self.on_body: Callable[[int], None] = lambda body_id: None
        self.on_camera: Callable[[str], None] = lambda name: None

    @staticmethod
    def _check_port(host: str, port: int, exact: bool) -> None:
        with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port if exact else 0))
            except OSError as error:
                raise ConfigError(
                    f'{host}:{port} cannot be served: {error.strerror}. Choose another with --port or --host; without '
                    '--port a free one is taken.'
                ) from error

    @property
    def gui(self) -> Any:
        """viser's panel, to add controls to."""
        return self._server.gui

    @property
    def browsers(self) -> int:
        """How many look on."""
        return len(self._server.get_clients())

    def recorder(self) -> Any:
        """Return viser's recorder of the scene: ``insert_sleep`` between changes, then ``as_html``."""
        return self._server.get_scene_serializer()

    def set_rig(self, rig: CameraRig | None, floor_m: float = 0.0, look_at: FloatArray | None = None) -> None:
        """Draw cameras and floor, and look at them from where all is in view.

        Args:
            rig: None: floor only.
            floor_m: height of the floor along up.
            look_at: (3,) m, what to look at; None for where the cameras do.
        """
        scene = self._server.scene
        with self._lock:
            for frustum in self._frusta.values():
                frustum.remove()
            self._frusta.clear()
            self._rig = rig
            self._up = up_direction(rig)
            scene.set_up_direction(tuple(self._up))
            scene.add_grid(
                '/floor', 12.0, 12.0, cell_size=0.5, section_size=1.0, wxyz=_from_z(self._up),
                position=tuple(floor_m * self._up), cell_color=(205, 210, 216), section_color=(170, 178, 188),
                plane_opacity=0.0,
            )
            scene.add_frame('/world', axes_length=0.25, axes_radius=0.008, position=tuple(floor_m * self._up))
            centre = look_at if look_at is not None else _centre(rig, floor_m, self._up)
            for camera in rig.cameras if rig is not None else ():
                self._frusta[camera.name] = self._add_frustum(camera, centre)
            self._place_viewer(rig, centre)

    def _add_frustum(self, camera: Camera, centre: FloatArray) -> Any:
        lens = camera.intrinsics
        distance = float(np.linalg.norm(camera.position_m - centre))
        frustum = self._server.scene.add_camera_frustum(
            f'/cameras/{camera.name}', _field_of_view(camera), lens.width / lens.height,
            scale=min(max(0.1 * distance, 0.12), 0.8), thickness=0.012, color=_UNKNOWN_STATE,
            cast_shadow=False, receive_shadow=False,
            wxyz=_wxyz(camera.cam_from_world[:, :3].T), position=tuple(camera.position_m),
        )
        self._server.scene.add_label(
            f'/cameras/{camera.name}/name', camera.name, font_screen_scale=0.8, anchor='bottom-center'
        )

        @frustum.on_click  # type: ignore[untyped-decorator]
        def _(event: Any) -> None:
            self.look_through(camera.name, event.client)
            self.on_camera(camera.name)

        return frustum

    def _place_viewer(self, rig: CameraRig | None, centre: FloatArray) -> None:
        away, radius_m = np.array([1.0, -1.0, 0.0]), 3.0
        if rig is not None:
            away = rig.cameras[0].position_m - centre
            radius_m = max(float(np.linalg.norm(camera.position_m - centre)) for camera in rig.cameras)
        away = away - self._up * float(away @ self._up)
        length = float(np.linalg.norm(away))
        away = away / length if length > 1e-6 else np.cross(self._up, (0.6, 0.8, 0.1))
        # Beside the first camera and behind it, so that nothing stands in the way.
        turned = np.cos(0.6) * away + np.sin(0.6) * np.cross(self._up, away)
        eye = centre + min(max(1.5 * radius_m, 3.0), 20.0) * (turned + 0.5 * self._up)
        self._server.initial_camera.up = tuple(self._up)
        self._server.initial_camera.position = tuple(eye)
        self._server.initial_camera.look_at = tuple(centre)

    def look_through(self, name: str, client: Any = None) -> None:
        """Put a browser (None: all) where a camera is."""
        if self._rig is None:
            return
        camera = self._rig[name]
        for one in [client] if client is not None else list(self._server.get_clients().values()):
            with one.atomic():
                one.camera.up_direction = tuple(-camera.cam_from_world[1, :3])
                one.camera.position = tuple(camera.position_m)
                one.camera.look_at = tuple(camera.position_m + 3.0 * camera.cam_from_world[2, :3])
                one.camera.fov = _field_of_view(camera)

    def look_around(self) -> None:
        """Put every browser back to where it began."""
        start = self._server.initial_camera
        for one in list(self._server.get_clients().values()):
            with one.atomic():
                one.camera.up_direction = tuple(self._up)
                one.camera.position = start.position
                one.camera.look_at = start.look_at
                one.camera.fov = float(np.radians(50.0))

    def show(self, instant: Instant, shown: Shown, *, keep_pictures: bool = False) -> None:
        """Draw an instant; ``keep_pictures`` leaves the cameras' pictures as they are."""
        with self._lock, self._server.atomic():
            bodies = instant.bodies
            present = set() if bodies is None else set(bodies.body_ids.tolist())
            for body_id in set(self._bodies) - present:
                self._bodies.pop(body_id).remove()
            if bodies is not None:
                for row, body_id in enumerate(bodies.body_ids.tolist()):
                    nodes = self._bodies.get(body_id)
                    if nodes is None:
                        nodes = _BodyNodes(self._server.scene, body_id, bodies.skeleton, self._sphere, self._clicked)
                        self._bodies[body_id] = nodes
                    nodes.update(bodies.xyz[row], bodies.covariance[row], shown)
            self._show_cameras(instant, shown, keep_pictures)

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
            if bodies is None or not len(bodies):
                return
            edges = np.array(bodies.skeleton.edges)
            segments = bodies.xyz[:, edges].reshape(-1, 2, 3)
            segments = segments[np.isfinite(segments).all((1, 2))]
            if len(segments):
                self._ghost = self._server.scene.add_line_segments(
                    '/ghost', segments.astype(np.float32), _GHOST, thickness=0.012
                )

    def _clicked(self, body_id: int) -> None:
        self.on_body(body_id)

    def _show_cameras(self, instant: Instant, shown: Shown, keep_pictures: bool) -> None:
        for name, frustum in self._frusta.items():
            colour = state_colour(instant.cameras.get(name))
            if tuple(frustum.color) != colour:
                frustum.color = colour
            if keep_pictures:
                continue
            image = self._picture(name, instant) if shown.pictures else None
            if image is not None:
                frustum.image = image
            elif frustum.image is not None and (not shown.pictures or name not in instant.frames):
                frustum.image = None

    def _picture(self, name: str, instant: Instant) -> UInt8Array | None:
        """Return a camera's picture with the reprojected bodies, RGB; None without one."""
        frame = instant.frames.get(name)
        if frame is None or self._rig is None:
            return None
        bodies = instant.bodies
        if bodies is None:
            bodies = Bodies3D.empty(instant.stamp_ns, self._rig.world_frame_id, BODY17)
        height = min(_PICTURE_PX, frame.image.shape[0])
        drawn = overlay(self._rig.subset([name]), {name: frame}, instant.keypoints, bodies, height_px=height)
        return np.ascontiguousarray(drawn[..., ::-1])

    def close(self) -> None:
        """Stop serving."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._server.stop()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _BodyNodes:
    """What is drawn of one body."""

    def __init__(
        self, scene: Any, body_id: int, skeleton: Skeleton, sphere: tuple[FloatArray, FloatArray],
        clicked: Callable[[int], None],
    ) -> None:
        self._edges = np.array(skeleton.edges)
        colour = body_colour(body_id)
        sides = np.zeros(len(skeleton))
        for left, right in skeleton.flip_pairs:
            sides[left], sides[right] = 1.0, -1.0
        colours = np.stack([_shaded(colour, side) for side in sides]).astype(np.uint8)
        count = len(skeleton)
        upright = np.tile((1.0, 0.0, 0.0, 0.0), (count, 1))
        root = f'/bodies/{body_id}'
        hidden = np.zeros((count, 3), np.float32)
        self._root = scene.add_frame(root, show_axes=False)
        self._joints = scene.add_batched_meshes_simple(
            f'{root}/joints', *sphere, upright, hidden, batched_scales=hidden, batched_colors=colours, lod='off',
            cast_shadow=False, receive_shadow=False,
        )
        self._spread = scene.add_batched_meshes_simple(
            f'{root}/spread', *sphere, upright, hidden, batched_scales=hidden, batched_colors=colours, opacity=0.22,
            lod='off', cast_shadow=False, receive_shadow=False,
        )
        bone_colours = np.repeat(colours[self._edges[:, 1]][:, None], 2, 1)
        self._bones = scene.add_line_segments(
            f'{root}/bones', np.zeros((len(self._edges), 2, 3), np.float32), bone_colours, thickness=_BONE_M
        )
        self._trail = scene.add_line_segments(
            f'{root}/trail', np.zeros((1, 2, 3), np.float32), tuple(colour.astype(int).tolist()), thickness=0.008
        )
        self._name = scene.add_label(f'{root}/name', f'{body_id}', anchor='bottom-center')
        self.trail: deque[FloatArray] = deque(maxlen=_TRAIL_SETS)
        for handle in (self._joints, self._spread):
            handle.on_click(lambda _: clicked(body_id))

    def update(self, xyz: FloatArray, covariance: FloatArray, shown: Shown) -> None:
        known: BoolArray = np.asarray(np.isfinite(xyz).all(-1))
        place = np.where(known[:, None], xyz, 0.0).astype(np.float32)
        size = np.where(known, _JOINT_RADIUS_M, 0.0)[:, None] * np.ones(3)
        self._joints.batched_positions = place
        self._joints.batched_scales = size.astype(np.float32)
        self._spread.visible = shown.covariance
        if shown.covariance:
            turned, axes = ellipsoids(covariance, known)
            self._spread.batched_positions = place
            self._spread.batched_wxyzs = turned
            self._spread.batched_scales = axes
        ends = xyz[self._edges]
        drawn: BoolArray = np.asarray(np.isfinite(ends).all((1, 2)))
        # Segments that are not known shrink to a point inside the body.
        inside = xyz[known][0] if known.any() else np.zeros(3)
        self._bones.points = np.where(drawn[:, None, None], ends, inside).astype(np.float32)
        if known[0]:
            self.trail.append(xyz[0].copy())
        self._trail.visible = shown.trails and len(self.trail) >= 2
        if self._trail.visible:
            line = np.stack(self.trail)
            self._trail.points = np.stack([line[:-1], line[1:]], 1).astype(np.float32)
        self._name.visible = shown.names and bool(known.any())
        if self._name.visible:
            top = xyz[known][xyz[known][:, 2].argmax()]
            self._name.position = tuple(top + (0.0, 0.0, 0.12))

    def remove(self) -> None:
        self._root.remove()


def body_colour(body_id: int) -> FloatArray:
    """Return the colour (3,) RGB of a body."""
    colour: FloatArray = _COLOURS[body_id % len(_COLOURS)]
    return colour


def state_colour(state: CameraState | None) -> tuple[int, int, int]:
    """Return the colour of a camera's frustum: green, yellow, red; grey where nothing was said."""
    if state is None:
        return _UNKNOWN_STATE
    return _STATE_COLOURS[min(max(state.level, 0), 2)]


def ellipsoids(covariance: FloatArray, known: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return orientation (J, 4) wxyz and half axes (J, 3) m of the ellipsoids of covariances (J, 3, 3) m^2.

    Joints that are not ``known`` (J,), or whose covariance is not, have no size.
    """
    there: BoolArray = known & np.asarray(np.isfinite(covariance).all((1, 2)))
    safe = np.where(there[:, None, None], covariance, np.eye(3))
    variances, axes = np.linalg.eigh(safe)
    # A rotation, not a reflection.
    axes = axes * np.where(np.linalg.det(axes) < 0.0, -1.0, 1.0)[:, None, None]
    half = _SIGMAS * np.sqrt(np.maximum(variances, 0.0)) * there[:, None]
    turned = np.stack([_wxyz(rotation) for rotation in axes]) if len(axes) else np.zeros((0, 4))
    return turned.astype(np.float32), half.astype(np.float32)


def up_direction(rig: CameraRig | None) -> FloatArray:
    """Return what is up in the world (3,): z, unless the cameras say otherwise by more than 60 degrees."""
    z = np.array([0.0, 0.0, 1.0])
    if rig is None:
        return z
    mean = -np.mean([camera.cam_from_world[1, :3] for camera in rig.cameras], axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6 or mean[2] / length > 0.5:
        return z
    axis = int(np.abs(mean).argmax())
    up = np.zeros(3)
    up[axis] = np.sign(mean[axis])
    return up if abs(mean[axis]) / length > 0.8 else mean / length


def _centre(rig: CameraRig | None, floor_m: float, up: FloatArray) -> FloatArray:
    """Return the point nearest to the cameras' optical axes, or a body's height above the floor."""
    standing: FloatArray = (floor_m + 1.0) * up
    if rig is None:
        return standing
    matrix, vector = np.zeros((3, 3)), np.zeros(3)
    for camera in rig.cameras:
        axis = camera.cam_from_world[2, :3]
        across = np.eye(3) - np.outer(axis, axis)
        matrix, vector = matrix + across, vector + across @ camera.position_m
    if len(rig) == 1 or np.linalg.cond(matrix) > 1e3:
        return np.asarray(rig.cameras[0].position_m + 3.0 * rig.cameras[0].cam_from_world[2, :3])
    return np.asarray(np.linalg.solve(matrix, vector))


def _field_of_view(camera: Camera) -> float:
    """Return the vertical angle of view, rad, as of a picture centred on the optical axis."""
    lens = camera.intrinsics
    return 2.0 * float(np.arctan2(lens.height, 2.0 * lens.K[1, 1]))


def _wxyz(rotation: FloatArray) -> tuple[float, float, float, float]:
    x, y, z, w = to_quaternion(np.column_stack([rotation, np.zeros(3)])).tolist()
    return w, x, y, z


def _from_z(up: FloatArray) -> tuple[float, float, float, float]:
    """Return the rotation (wxyz) that turns z into the unit vector ``up``."""
    if up[2] < -0.9999:
        return 0.0, 1.0, 0.0, 0.0
    wxyz = np.array([1.0 + up[2], -up[1], up[0], 0.0])
    w, x, y, z = (wxyz / np.linalg.norm(wxyz)).tolist()
    return w, x, y, z


def _shaded(colour: FloatArray, side: float) -> FloatArray:
    """Return a colour a little lighter for side 1, much darker for -1."""
    mixed: FloatArray = colour + (255.0 - colour) * 0.12 * max(side, 0.0) - colour * 0.5 * max(-side, 0.0)
    return mixed


def _sphere(rings: int = 7, sectors: int = 10) -> tuple[FloatArray, FloatArray]:
    """Return vertices (V, 3) and triangles (F, 3) of a unit sphere."""
    polar = np.linspace(0.0, np.pi, rings)
    around = np.linspace(0.0, 2.0 * np.pi, sectors, endpoint=False)
    p, a = np.meshgrid(polar, around, indexing='ij')
    vertices = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1).reshape(-1, 3)
    faces = []
    for ring in range(rings - 1):
        for sector in range(sectors):
            right = (sector + 1) % sectors
            a0, b0 = ring * sectors + sector, ring * sectors + right
            a1, b1 = a0 + sectors, b0 + sectors
            faces += [(a0, a1, b1), (a0, b1, b0)]
    return vertices, np.array(faces)


def _no_tunnel(*_: object) -> None:
    _LOG.warning('A browser asked for a public address of this viewer; it has none. Use an SSH tunnel instead.')
