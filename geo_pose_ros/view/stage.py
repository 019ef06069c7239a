"""The 3D scene in the browser: bodies, cameras, floor and trails. The only module that imports viser.

viser serves its page, three.js included, from this machine; nothing is asked of another. Colours tell bodies apart;
a body's left is lighter, its right darker.

A browser without a graphics card must manage: a body is three instanced meshes of few vertices, lines have the width of
pixels, light comes from lamps and not from a picture of surroundings, and there are no shadows.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import tempfile
import threading
import webbrowser
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import BoolArray, FloatArray, UInt8Array
from ..errors import ConfigError
from ..geometry.rigid import to_quaternion
from ..skeleton import BODY17, Skeleton
from ..types import Bodies3D, Camera, CameraRig
from .client_page import lightened
from .instant import CameraState, Instant
from .settings import ViewConfig

_LOG = logging.getLogger(__name__)

_COLOURS = np.array(
    [(220, 100, 0), (10, 105, 200), (10, 135, 85), (180, 55, 145), (100, 85, 225), (150, 115, 0), (30, 140, 165)], float
)
_STATE_COLOURS = ((60, 160, 90), (220, 150, 20), (205, 45, 40))
_UNKNOWN_STATE = (120, 130, 145)
_GHOST = (150, 150, 150)
_JOINT_RADIUS_M, _BONE_RADIUS_M, _TRAIL_RADIUS_M = 0.026, 0.02, 0.012
_FRUSTUM_PX, _GRID_PX, _GHOST_M = 2.0, 1.0, 0.012
# An ellipsoid of two standard deviations holds three quarters of what is normal in 3D.
_SIGMAS = 2.0
_SPREAD_OPACITY = 0.22
_FLOOR_COLOUR = (196, 203, 211)
# A trail has so many dots, one every third set.
_TRAIL_DOTS, _TRAIL_STEP = 30, 3
# The floor's lines, a metre apart, go so far to either side.
_FLOOR_M = 5
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
        self._page = tempfile.TemporaryDirectory(prefix='geo_pose_view_')
        served = _lightened_page(Path(viser.__file__).parent / 'client' / 'build', Path(self._page.name))
        with contextlib.redirect_stdout(io.StringIO()), _serving(viser.infra, served):
            self._server: Any = viser.ViserServer(host=host, port=port, verbose=False)
        self.url = f'http://{"localhost" if host in ("127.0.0.1", "0.0.0.0") else host}:{self._server.get_port()}'
        # Its share button would open a tunnel to somebody else's server.
        setattr(self._server, 'request_share_url', _no_tunnel)  # noqa: B010 - the checker refuses to replace a method
        self._server.gui.configure_theme(show_logo=False, show_share_button=False, control_width='medium')
        # Where a processor draws, shadows and light from surroundings cost more than all that is lit.
        self._server.scene.configure_default_lights(cast_shadow=False)
        self._server.scene.configure_environment_map(None)
        self._server.scene.add_light_hemisphere('/sky', ground_color=(190, 190, 200), intensity=1.2)
        self._lock = threading.RLock()
        self._rig: CameraRig | None = None
        self._up: FloatArray = np.array([0.0, 0.0, 1.0])
        self._bodies: dict[int, _BodyNodes] = {}
        self._frusta: dict[str, Any] = {}
        self._ghost: Any = None
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
            scene.add_line_segments(
                '/floor', floor_lines(), _FLOOR_COLOUR, thickness=_GRID_PX, thickness_units='screen',
                wxyz=tuple(from_z(self._up)), position=tuple(floor_m * self._up),
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
            scale=min(max(0.1 * distance, 0.12), 0.8), thickness=_FRUSTUM_PX, thickness_units='screen',
            color=_UNKNOWN_STATE, cast_shadow=False, receive_shadow=False,
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

    def show(self, instant: Instant, shown: Shown, pictures_of: Collection[str] | None = None) -> None:
        """Draw an instant; only the cameras ``pictures_of`` (None: all) get a new picture."""
        with self._lock, self._server.atomic():
            bodies = instant.bodies
            present = set() if bodies is None else set(bodies.body_ids.tolist())
            for body_id in set(self._bodies) - present:
                self._bodies.pop(body_id).remove()
            if bodies is not None:
                for row, body_id in enumerate(bodies.body_ids.tolist()):
                    nodes = self._bodies.get(body_id)
                    if nodes is None:
                        nodes = _BodyNodes(self._server.scene, body_id, bodies.skeleton, self._up, self._clicked)
                        self._bodies[body_id] = nodes
                    nodes.update(bodies.xyz[row], bodies.covariance[row], shown)
            self._show_cameras(instant, shown, pictures_of)

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
                    '/ghost', segments.astype(np.float32), _GHOST, thickness=_GHOST_M
                )

    def _clicked(self, body_id: int) -> None:
        self.on_body(body_id)

    def _show_cameras(self, instant: Instant, shown: Shown, pictures_of: Collection[str] | None) -> None:
        for name, frustum in self._frusta.items():
            colour = state_colour(instant.cameras.get(name))
            if tuple(frustum.color) != colour:
                frustum.color = colour
            if shown.pictures and pictures_of is not None and name not in pictures_of:
                continue
            image = self._picture(name, instant) if shown.pictures else None
            if image is not None or frustum.image is not None:
                frustum.image = image

    def _picture(self, name: str, instant: Instant) -> UInt8Array | None:
        """Return a camera's picture with the reprojected bodies, RGB; None without one."""
        frame = instant.frames.get(name)
        if frame is None or self._rig is None:
            return None
        # The first bodies are drawn without what pictures need.
        from .figures import overlay

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
        self._page.cleanup()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _BodyNodes:
    """What is drawn of one body: joints and bones in one mesh, its uncertainty and its trail in others, and its id."""

    def __init__(
        self, scene: Any, body_id: int, skeleton: Skeleton, up: FloatArray, clicked: Callable[[int], None]
    ) -> None:
        self._edges, self._up = np.array(skeleton.edges), up
        colour = body_colour(body_id)
        sides = np.zeros(len(skeleton))
        for left, right in skeleton.flip_pairs:
            sides[left], sides[right] = 1.0, -1.0
        joints = np.stack([_shaded(colour, side) for side in sides])
        figure = np.concatenate([joints, joints[self._edges[:, 1]]])
        root, ball, dot = f'/bodies/{body_id}', _sphere(5, 8), _sphere(3, 4)
        self._root = scene.add_frame(root, show_axes=False)
        self._figure = _add_spheres(scene, f'{root}/figure', ball, figure)
        self._spread = _add_spheres(scene, f'{root}/spread', ball, joints, _SPREAD_OPACITY)
        self._trail = _add_spheres(scene, f'{root}/trail', dot, np.tile(colour, (_TRAIL_DOTS, 1)))
        self._name = scene.add_label(f'{root}/name', f'{body_id}', anchor='bottom-center')
        self.trail: deque[FloatArray] = deque(maxlen=_TRAIL_DOTS)
        self._sets = 0
        for handle in (self._figure, self._spread):
            handle.on_click(lambda _: clicked(body_id))

    def update(self, xyz: FloatArray, covariance: FloatArray, shown: Shown) -> None:
        known: BoolArray = np.asarray(np.isfinite(xyz).all(-1))
        if known[0] and self._sets % _TRAIL_STEP == 0:
            self.trail.append(xyz[0].copy())
        self._sets += 1
        joints = spheres(xyz, _JOINT_RADIUS_M)
        _place(self._figure, *(np.concatenate(both) for both in zip(joints, bones(xyz[self._edges]), strict=True)))
        self._spread.visible = shown.covariance
        if shown.covariance:
            _place(self._spread, joints[0], *ellipsoids(covariance, known))
        self._trail.visible = shown.trails and len(self.trail) > 1
        if self._trail.visible:
            dots = np.full((_TRAIL_DOTS, 3), np.nan)
            dots[:len(self.trail)] = self.trail
            _place(self._trail, *spheres(dots, _TRAIL_RADIUS_M))
        self._name.visible = shown.names and bool(known.any())
        if self._name.visible:
            top = xyz[known][(xyz[known] @ self._up).argmax()]
            self._name.position = tuple(top + 0.12 * self._up)

    def remove(self) -> None:
        self._root.remove()


def _add_spheres(
    scene: Any, name: str, sphere: tuple[FloatArray, FloatArray], colours: FloatArray, opacity: float | None = None
) -> Any:
    """Add as many spheres as colours (N, 3), without a size yet."""
    nowhere = np.zeros((len(colours), 3), np.float32)
    return scene.add_batched_meshes_simple(
        name, *sphere, np.tile((1.0, 0.0, 0.0, 0.0), (len(colours), 1)), nowhere, batched_scales=nowhere,
        batched_colors=colours.astype(np.uint8), opacity=opacity, lod='off', cast_shadow=False, receive_shadow=False,
    )


def _place(handle: Any, places: FloatArray, turns: FloatArray, sizes: FloatArray) -> None:
    handle.batched_positions = places.astype(np.float32)
    handle.batched_wxyzs = turns.astype(np.float32)
    handle.batched_scales = sizes.astype(np.float32)


def body_colour(body_id: int) -> FloatArray:
    """Return the colour (3,) RGB of a body."""
    colour: FloatArray = _COLOURS[body_id % len(_COLOURS)]
    return colour


def state_colour(state: CameraState | None) -> tuple[int, int, int]:
    """Return the colour of a camera's frustum: green, yellow, red; grey where nothing was said."""
    if state is None:
        return _UNKNOWN_STATE
    return _STATE_COLOURS[min(max(state.level, 0), 2)]


def spheres(points: FloatArray, radius_m: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return places (N, 3) m, turns (N, 4) wxyz and half axes (N, 3) m of balls; where a point is NaN: of no size."""
    known: BoolArray = np.asarray(np.isfinite(points).all(-1))
    sizes = np.where(known, radius_m, 0.0)[:, None] * np.ones(3)
    return np.where(known[:, None], points, 0.0), np.tile((1.0, 0.0, 0.0, 0.0), (len(points), 1)), sizes


def bones(ends: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return places, turns and half axes, as ``spheres`` does, of spindles between ends (N, 2, 3) m."""
    known: BoolArray = np.asarray(np.isfinite(ends).all((1, 2)))
    ends = np.where(known[:, None, None], ends, 0.0)
    along = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(along, axis=1)
    half = np.column_stack([np.full((len(ends), 2), _BONE_RADIUS_M), length / 2.0])
    direction = along / np.maximum(length, 1e-9)[:, None]
    return ends.mean(1), from_z(direction), half * known[:, None]


def floor_lines() -> FloatArray:
    """Return lines (N, 2, 3) m of a floor in the plane z = 0."""
    at = np.arange(-_FLOOR_M, _FLOOR_M + 1.0)
    far, zero = np.full(len(at), float(_FLOOR_M)), np.zeros(len(at))
    lines = np.stack([np.column_stack([at, -far, zero]), np.column_stack([at, far, zero])], 1)
    return np.concatenate([lines, lines[..., [1, 0, 2]]])


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
    return to_quaternion(axes)[:, [3, 0, 1, 2]].astype(np.float32), half.astype(np.float32)


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
    x, y, z, w = to_quaternion(rotation).tolist()
    return w, x, y, z


def from_z(directions: FloatArray) -> FloatArray:
    """Return the rotations (..., 4) wxyz that turn z into unit vectors (..., 3)."""
    wxyz = np.stack([
        1.0 + directions[..., 2], -directions[..., 1], directions[..., 0], np.zeros(directions.shape[:-1])
    ], -1)
    # Half a turn about x where the way is the opposite one.
    wxyz = np.where(directions[..., 2:] < -0.9999, (0.0, 1.0, 0.0, 0.0), wxyz)
    turned: FloatArray = wxyz / np.linalg.norm(wxyz, axis=-1, keepdims=True)
    return turned


def _shaded(colour: FloatArray, side: float) -> FloatArray:
    """Return a colour a little lighter for side 1, much darker for -1."""
    mixed: FloatArray = colour + (255.0 - colour) * 0.12 * max(side, 0.0) - colour * 0.5 * max(-side, 0.0)
    return mixed


def _sphere(rings: int, sectors: int) -> tuple[FloatArray, FloatArray]:
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


def _lightened_page(own: Path, folder: Path) -> Path:
    """Write viser's page, lightened, into ``folder`` and return that; viser's own folder where it has another page."""
    page = own / 'index.html'
    if [path.name for path in own.glob('*')] != [page.name]:
        _LOG.warning('This version of viser has another page than ours knows; it is served as it is.')
        return own
    (folder / page.name).write_text(lightened(page.read_text(encoding='utf-8')), encoding='utf-8')
    return folder


@contextlib.contextmanager
def _serving(infra: Any, folder: Path) -> Iterator[None]:
    """Let servers that viser makes meanwhile serve ``folder``: it has no argument for that."""
    original = infra.WebsockServer
    infra.WebsockServer = lambda *given, **settings: original(*given, **{**settings, 'http_server_root': folder})
    try:
        yield
    finally:
        infra.WebsockServer = original


def _no_tunnel(*_: object) -> None:
    _LOG.warning('A browser asked for a public address of this viewer; it has none. Use an SSH tunnel instead.')


def serve(config: ViewConfig) -> Stage:
    """Return a stage on the configured port, and say where it is."""
    stage = Stage(config.host, config.port or 8080, exact_port=config.port != 0)
    print(f'Look at {stage.url}  (Ctrl-C ends)', flush=True)
    if config.browser and not webbrowser.open(stage.url):
        _LOG.warning('No browser could be opened here; open %s in one.', stage.url)
    return stage
