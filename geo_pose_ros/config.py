"""Typed settings, stated once.

Each part has one frozen dataclass; each field carries default, unit, bounds and description (``setting``). ``walk``
yields them flat; validation, ROS parameter descriptors, YAML, command-line flags and the docs table derive from it.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

import yaml

from .errors import ConfigError

Value = bool | int | float | str | tuple[str, ...]
T = TypeVar('T')


def setting(
    default: Value,
    description: str,
    *,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Declare a field of a settings dataclass: default, description, unit, inclusive bounds or allowed strings.

    ``live``: a running node takes a change at once; all others need it to be configured again.
    """
    meta = {'description': description, 'unit': unit, 'low': low, 'high': high, 'choices': choices, 'live': live}
    return field(default=default, metadata=meta)


@dataclass(frozen=True, slots=True)
class Setting:
    """One leaf of the settings tree, as ``walk`` yields it."""

    name: str
    type: type
    default: Value
    description: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    live: bool = False

    def check(self, value: Any) -> Value:
        """Return ``value`` in the declared type.

        Raises:
            ConfigError: for another type, a value out of bounds, or an unknown choice.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if self.type is tuple and isinstance(value, list):
            value = tuple(value)
        wrong_item = self.type is tuple and isinstance(value, tuple) and not all(isinstance(v, str) for v in value)
        if type(value) is not self.type or wrong_item:
            wanted = 'list of strings' if self.type is tuple else self.type.__name__
            raise ConfigError(f"Parameter '{self.name}': received {value!r}, expected a {wanted}.")
        checked: Any = value
        below = self.low is not None and not checked >= self.low
        above = self.high is not None and not checked <= self.high
        if below or above:
            raise ConfigError(f"Parameter '{self.name}': received {value}, expected {self.bounds} {self.unit}".rstrip())
        if self.choices and value not in self.choices:
            raise ConfigError(f"Parameter '{self.name}': received '{value}', expected {self.bounds}.")
        return checked  # type: ignore[no-any-return]

    @property
    def bounds(self) -> str:
        """The allowed values in words; '' if any."""
        if self.choices:
            return 'one of ' + ', '.join(self.choices)
        if self.low is None and self.high is None:
            return ''
        low = float('-inf') if self.low is None else self.low
        high = float('inf') if self.high is None else self.high
        return f'{low:g} .. {high:g}'


def walk(config: type | Any, prefix: str = '') -> Iterator[Setting]:
    """Yield every setting of a settings dataclass (or instance: then with its values as defaults), depth first."""
    hints = get_type_hints(config if isinstance(config, type) else type(config))
    for f in dataclasses.fields(config):
        name, kind = f'{prefix}{f.name}', hints[f.name]
        if dataclasses.is_dataclass(kind):
            yield from walk(kind if isinstance(config, type) else getattr(config, f.name), f'{name}.')
            continue
        default = f.default if isinstance(config, type) else getattr(config, f.name)
        leaf: type = tuple if getattr(kind, '__origin__', None) is tuple else kind
        yield Setting(name, leaf, default, **f.metadata)  # type: ignore[arg-type]


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return settings of ``kind`` from flat dotted names; what is not named keeps its default.

    Raises:
        ConfigError: for an unknown name, a wrong type, or a value out of bounds.
    """
    known = {s.name: s for s in walk(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f'Unknown parameter {", ".join(unknown)}; known: {", ".join(sorted(known))}.')
    checked = {name: known[name].check(value) for name, value in values.items()}
    return _build(kind, checked, '')


def _build(kind: type[T], values: Mapping[str, Any], prefix: str) -> T:
    hints = get_type_hints(kind)
    arguments = {}
    for f in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = f'{prefix}{f.name}'
        if dataclasses.is_dataclass(hints[f.name]):
            arguments[f.name] = _build(hints[f.name], values, f'{name}.')
        elif name in values:
            arguments[f.name] = values[name]
    return kind(**arguments)


def flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Return nested mappings as one with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


def to_ros_yaml(config: type | Any, node_name: str, comment: str) -> str:
    """Return a ROS 2 parameter file with every setting, its description, unit and bounds as comments."""
    lines = [f'# {line}'.rstrip() for line in comment.splitlines()] + [f'{node_name}:', '  ros__parameters:']
    open_groups: list[str] = []
    for s in walk(config):
        *groups, leaf = s.name.split('.')
        for depth, group in enumerate(groups):
            if open_groups[depth : depth + 1] != [group]:
                open_groups = [*groups[:depth], group]
                lines.append(f'{"  " * (depth + 2)}{group}:')
        open_groups = groups
        indent = '  ' * (len(groups) + 2)
        extra = ', '.join(part for part in (s.unit, s.bounds, 'at run time too' if s.live else '') if part)
        lines.append(f'{indent}# {s.description}{f" [{extra}]" if extra else ""}')
        value = list(s.default) if isinstance(s.default, tuple) else s.default
        dumped = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix('...\n').strip()
        lines.append(f'{indent}{leaf}: {dumped}')
    return '\n'.join(lines) + '\n'


def to_markdown(config: type | Any) -> str:
    """Return the settings as a Markdown table."""
    rows = ['| parameter | default | unit, range | what |', '|---|---|---|---|']
    for s in walk(config):
        default = list(s.default) if isinstance(s.default, tuple) else s.default
        extra = ', '.join(part for part in (s.unit, s.bounds) if part)
        rows.append(f'| `{s.name}` | `{default}` | {extra} | {s.description} |')
    return '\n'.join(rows) + '\n'


def add_arguments(parser: argparse.ArgumentParser, kind: type) -> None:
    """Add one flag per setting, ``--group.name``; unset flags are absent from the parsed namespace."""
    for s in walk(kind):
        extra = ', '.join(part for part in (s.unit, s.bounds, f'default {s.default}') if part)
        options: dict[str, Any] = {'type': s.type}
        if s.type is bool:
            options = {'action': argparse.BooleanOptionalAction}
        elif s.type is tuple:
            options = {'nargs': '*', 'type': str}
        parser.add_argument(
            f'--{s.name.replace("_", "-")}', dest=f'setting:{s.name}', default=argparse.SUPPRESS,
            help=f'{s.description} [{extra}]'.replace('%', '%%'), **options,
        )


def from_arguments(kind: type[T], arguments: argparse.Namespace) -> T:
    """Return settings from the flags of ``add_arguments``; raise ConfigError for values out of bounds."""
    marked = {name: value for name, value in vars(arguments).items() if name.startswith('setting:')}
    return build(kind, {name.removeprefix('setting:'): value for name, value in marked.items()})


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """When frames of several cameras make one set."""

    tolerance_ms: float = setting(
        0.0, 'Largest difference of two stamps in one set; 0: nine tenths of the fastest camera\'s measured period, so '
        'that any mix of rates and phases gives sets of all cameras', unit='ms', low=0.0, high=1000.0,
    )
    deadline_ms: float = setting(
        40.0, 'A set is closed this long after its first frame arrived, with the cameras that came', unit='ms', low=1.0,
        high=5000.0,
    )
    min_cameras: int = setting(1, 'Sets with fewer frames are dropped and counted', low=1, high=64)
    clock_limit_ms: float = setting(
        250.0, 'A camera whose clock differs from the others\' by more is refused until it is put right; smaller '
        'differences are found from people\'s motion and taken off', unit='ms', low=1.0, high=10_000.0,
    )
    silent_ms: float = setting(
        1000.0, 'A camera silent for longer is not waited for', unit='ms', low=1.0, high=60_000.0
    )


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What runs a neural network."""

    engine: str = setting('onnxruntime', 'Inference engine', choices=('onnxruntime', 'tensorrt'))
    device: str = setting('cpu', 'Device of onnxruntime; tensorrt always runs on the GPU', choices=('cpu', 'cuda'))
    threads: int = setting(1, 'CPU threads per model', low=1, high=64)
    fp16: bool = setting(False, 'tensorrt computes in half precision')
    max_batch: int = setting(64, 'Largest batch that a tensorrt engine is built for', low=1, high=4096)
    cuda_graph: bool = setting(True, 'tensorrt replays a recorded CUDA graph per batch size')
    rebuild: bool = setting(True, 'Build a tensorrt engine that is missing or does not fit the machine; off: refuse')


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """The 2D detector."""

    name: str = setting('blazepose', 'Detector plugin', choices=('blazepose', 'rtmpose', 'keypoints'))
    model: str = setting('', 'Model file or name; empty: the plugin\'s own')
    person_model: str = setting(
        '', 'Model file that finds people, before rtmpose a YOLOX; empty: the plugin\'s own, or for an rtmpose file '
        'none: the whole image is one person'
    )
    min_confidence: float = setting(0.3, 'Keypoints below this are not used', low=0.0, high=1.0, live=True)
    min_presence: float = setting(
        0.5, 'A region whose probability to show a person at all is below this shows nobody', low=0.0, high=1.0
    )
    max_people: int = setting(
        20, 'People per picture: the surest are kept, and a message with more is refused', low=1, high=200
    )
    look_period_s: float = setting(
        0.5, 'Where people are expected, only they are looked at; the whole picture once in this time, for others, '
        'but not more than every sixth picture', unit='s', low=0.0, high=60.0,
    )
    look_again_s: float = setting(
        0.1, 'Until the next look at the whole picture where somebody unknown was seen or somebody expected was not; '
        'doubles up to look_period_s while looking does not help', unit='s', low=0.0, high=60.0,
    )
    small_person: float = setting(
        0.35, 'People whose region is smaller than this, relative to the picture\'s longer side, may be too small to '
        'be found in the whole picture: looks take in a tile too', low=0.0, high=1.0,
    )
    astray: float = setting(
        0.2, 'Keypoints farther than this from where their person was expected, relative to the person\'s extent, are '
        'of somebody else', low=0.01, high=10.0,
    )
    same_person: float = setting(
        0.1, 'Two detections nearer than this, relative to the larger one\'s extent, are of one person',
        low=0.0, high=1.0,
    )
    max_side_px: int = setting(
        960, 'Images are decoded or halved to at most this longer side before detection; 0: as they are', unit='px',
        low=0, high=10_000,
    )
    workers: int = setting(0, 'Cameras detected at the same time on the CPU; 0: one per core', low=0, high=64)
    engine: EngineConfig = field(default_factory=EngineConfig)


@dataclass(frozen=True, slots=True)
class LifterConfig:
    """The lifter: 3D poses from single views."""

    enabled: bool = setting(True, 'Lift every view, so that bodies stay complete and one camera is enough')
    model: str = setting('', 'ONNX file of `geo_pose export` with its card; empty: the one that ships', live=True)
    up: str = setting(
        'z', 'Axis of the world that points upwards, for models that know gravity; none: not known',
        choices=('z', 'y', 'x', '-z', '-y', '-x', 'none'),
    )
    floor: bool = setting(
        False, 'People stand on the plane through the origin of the world, across that axis: then one camera shows how '
        'tall they are, and with it how far away',
    )
    engine: EngineConfig = field(default_factory=EngineConfig)


@dataclass(frozen=True, slots=True)
class SolverConfig:
    """How reprojections and lifted poses are weighed; docs/fusion.md says how the values were found."""

    noise_px: float = setting(
        8.0, 'Standard deviation of a keypoint of confidence 1, at a body 600 px tall; scales with it', unit='px',
        low=0.1, high=100.0,
    )
    iterations: int = setting(4, 'Steps of the solver', low=1, high=50)
    robust_sigmas: float = setting(
        2.5, 'Residual, in standard deviations of the keypoint, at which a view counts a quarter', low=0.5, high=100.0
    )
    lifter_across: float = setting(
        1.5, 'Standard deviation of a lifted joint across the view axis, in units of the lifter\'s sigma',
        low=0.01, high=100.0,
    )
    lifter_along: float = setting(2.2, 'The same along the view axis', low=0.01, high=100.0)
    lifter_rotation_rad: float = setting(
        0.12, 'Standard deviation of the rotation by which a whole lifted pose errs', unit='rad', low=0.0, high=1.0
    )
    lifter_scale: float = setting(
        0.05, 'Standard deviation of the relative scale by which a whole lifted pose errs', low=0.0, high=1.0
    )
    bone_spread: float = setting(
        0.03, 'Relative standard deviation of a tracked body\'s bone length from set to set; 0: lengths are not used',
        low=0.0, high=1.0,
    )


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """Bodies over time: who is who, and when somebody is somebody."""

    new_body_views: int = setting(
        2, 'Cameras that must see a new body, if as many delivered within a second; a known one may go on with one',
        low=1, high=64,
    )
    gate_m: float = setting(
        0.25, 'Mean distance of a known body\'s joints from a detection\'s rays up to which the detection may be its: '
        'the error of a prediction and of a poor detection, and less than the distance of people',
        unit='m', low=0.02, high=1.0,
    )
    new_gate_m: float = setting(
        0.12, 'Mean distance between the rays of two detections up to which they may be one new person', unit='m',
        low=0.01, high=1.0,
    )
    confirm_sets: int = setting(
        2, 'Sets in which a new body must be seen before it is published, unless three cameras or all that should see '
        'it agree at once', low=1, high=100,
    )
    confirm_s: float = setting(
        0.6, 'A new body that only a few of the cameras that should see it do (furniture) is published after this',
        unit='s', low=0.0, high=10.0,
    )
    same_body_m: float = setting(
        0.2, 'Two bodies whose joints are nearer than this in the mean, and that no camera sees both of, are one',
        unit='m', low=0.0, high=1.0,
    )
    arms_length_m: float = setting(
        0.8, 'A keypoint network that is told to look for somebody may read another person within this once more',
        unit='m', low=0.0, high=3.0,
    )
    person_breadth_m: float = setting(
        0.35, 'Whoever stands less than this beside a nearer person is hidden by that one', unit='m', low=0.0, high=2.0
    )
    enabled: bool = setting(True, 'Smooth joints by a Kalman filter and predict those not seen; ids are kept anyway')
    max_gap_s: float = setting(
        0.5, 'A joint or body not measured for longer than this is not published any more', unit='s', low=0.0, high=5.0
    )
    max_sigma_m: float = setting(
        0.2, 'A body that is predicted only is not published when its joints are less certain than this', unit='m',
        low=0.0, high=5.0,
    )
    remember_s: float = setting(
        4.0, 'Whoever comes back within this is the same body', unit='s', low=0.0, high=60.0
    )
    back_within_m: float = setting(
        0.4, 'Whoever was just lost comes back within this of where they were expected', unit='m', low=0.0, high=5.0
    )
    hidden_speed_m_s: float = setting(
        1.5, 'Speed at which somebody who is not seen may have moved away from where they were expected', unit='m/s',
        low=0.0, high=10.0,
    )
    acceleration_noise: float = setting(
        3.0, 'Square root of the spectral density of the joints\' acceleration at rest: larger follows faster, smooths '
        'less', unit='m/s^2/sqrt(Hz)', low=0.01, high=100.0,
    )
    acceleration_noise_fast: float = setting(
        20.0, 'The same for a joint that is found elsewhere than predicted', unit='m/s^2/sqrt(Hz)', low=0.01, high=500.0
    )


@dataclass(frozen=True, slots=True)
class CameraStateConfig:
    """What is learned of the cameras while people move before them."""

    clock_offsets: bool = setting(True, 'Estimate and take off constant clock offsets between cameras')
    moved_px: float = setting(
        2.0, 'Least change of a camera\'s shift against the bodies the others see that is reported; more where its '
        'shift usually scatters', unit='px', low=0.5, high=1000.0,
    )
    wrong_px: float = setting(
        25.0, 'Shift of a camera against the bodies the others see at which its calibration is reported as wrong',
        unit='px', low=1.0, high=1000.0,
    )
    moved_after_s: float = setting(
        1.0, 'A camera is reported when its shift has been unusual for so long', unit='s', low=0.0, high=60.0
    )


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Everything between a frame set and bodies."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    lifter: LifterConfig = field(default_factory=LifterConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    cameras: CameraStateConfig = field(default_factory=CameraStateConfig)


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """What a running node does about its calibration."""

    watch: bool = setting(
        True, 'Keep what the cameras saw of people lately, and offer the service calibrate, where cameras stand'
    )
    apply: str = setting(
        'propose', 'What the service does with a better rig: propose writes it to out, apply goes on with it too',
        choices=('propose', 'apply'),
    )
    out: str = setting(
        '~/.ros/geo_pose_rig.yaml', 'Rig file that the service writes, or replaces: .yaml, .toml or .qca.txt. The rig '
        'file in use is never replaced: proposed_<its name> is written beside it',
    )
    window_s: float = setting(60.0, 'What was seen longer ago is forgotten', unit='s', low=5.0, high=3600.0)
    most_sets: int = setting(
        2000, 'Most sets that are kept, about 10 kB each with four cameras and two people', low=50, high=100_000
    )


@dataclass(frozen=True, slots=True)
class TransformConfig:
    """What transforms of cameras that move can be."""

    most_speed_m_s: float = setting(
        10.0, 'What carries cameras is not faster: more is a jump of its transforms', unit='m/s', low=0.1, high=1000.0
    )
    most_turn_rad_s: float = setting(10.0, 'The same of its turning', unit='rad/s', low=0.1, high=1000.0)


# What a camera that moves is looked up in, for the node and for bags alike.
TRACKING_FRAME = (
    'Frame that people are tracked in where cameras move: one that stands and does not jump, as odom. Cameras are '
    'looked up in it on /tf, each at its picture\'s instant; a rig file\'s world is then what carries the rig. Empty: '
    'cameras stand'
)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """``pose_node``: topics, calibration, and everything below it."""

    autostart: bool = setting(True, 'Configure and activate at start; off: a lifecycle manager does')
    cameras: tuple[str, ...] = setting((), 'Camera names; empty: all of the rig file', live=True)
    rig: str = setting('', 'Rig file (YAML); empty: intrinsics from camera_info, extrinsics from /tf_static')
    world_frame: str = setting('world', 'Frame of the output where there is no rig file')
    tracking_frame: str = setting('', TRACKING_FRAME)
    output_in: str = setting(
        'tracking_frame', 'Frame of what is published where cameras move', choices=('tracking_frame', 'world_frame')
    )
    transport: str = setting(
        'compressed', 'What the cameras send; keypoints: 2D of a detector elsewhere',
        choices=('raw', 'compressed', 'keypoints'),
    )
    image_topic: str = setting('{camera}/image_raw', 'Image topic of a camera; compressed adds /compressed')
    image_topics: tuple[str, ...] = setting(
        (), 'Image topics of single cameras, camera=topic; their camera_info is beside them', live=True
    )
    rectified: str = setting(
        'auto', 'Whether pictures are rectified, so that P and R of camera_info describe them; auto: those of topics '
        'named image_rect', choices=('auto', 'yes', 'no'),
    )
    camera_info_topic: str = setting('{camera}/camera_info', 'Calibration topic of a camera')
    camera_info_topics: tuple[str, ...] = setting(
        (), 'Calibration topics of single cameras, camera=topic', live=True
    )
    keypoints_topic: str = setting('{camera}/keypoints', 'Keypoint topic of a camera, for transport keypoints')
    keypoints_cameras: tuple[str, ...] = setting(
        (), 'Cameras that detectors elsewhere send the keypoints of, where transport is for pictures', live=True
    )
    keypoints_topics: tuple[str, ...] = setting((), 'Keypoint topics of single cameras, camera=topic', live=True)
    keypoints_skeleton: str = setting(
        'body17', 'Skeleton of the keypoint topics', choices=('body17', 'coco17', 'halpe26', 'blazepose33')
    )
    reliability: str = setting(
        'best_effort', 'QoS asked of the cameras; best_effort also takes what a reliable publisher sends',
        choices=('best_effort', 'reliable'),
    )
    queue_depth: int = setting(
        2, 'QoS history per camera, keep last; what is older than one set is not wanted', low=1, high=100
    )
    publish_camera_frames: bool = setting(
        False, 'Publish the camera frames of the rig file on /tf_static; off where a robot description does'
    )
    publish_body_frames: bool = setting(
        False, 'Publish a frame body_<id> of every body on /tf: at the pelvis, x forward, z towards the head'
    )
    publish_humans: bool = setting(
        False, 'Publish /humans/bodies/... and frames body_b<id> after REP-155 (ROS4HRI); needs hri_msgs'
    )
    annotated_max_side_px: int = setting(
        960, 'Longer side of the annotated pictures', unit='px', low=64, high=10_000, live=True
    )
    annotated_quality: int = setting(80, 'JPEG quality of the annotated pictures', low=1, high=100, live=True)
    diagnostics_period_s: float = setting(1.0, 'Time between two /diagnostics', unit='s', low=0.05, high=60.0)
    stale_after_s: float = setting(
        2.0, 'A camera without a frame for longer is an error', unit='s', low=0.05, high=3600.0, live=True
    )
    transform_wait_ms: float = setting(
        50.0, 'A set waits so long for transforms that are older than its pictures; then the cameras they carry do '
        'without it', unit='ms', low=0.0, high=2000.0,
    )
    transforms: TransformConfig = field(default_factory=TransformConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    calibration: WatchConfig = field(default_factory=WatchConfig)


@dataclass(frozen=True, slots=True)
class DetectorNodeConfig:
    """``detector_node``: pictures of some cameras in, their keypoints out."""

    autostart: bool = setting(True, 'Configure and activate at start; off: a lifecycle manager does')
    cameras: tuple[str, ...] = setting((), 'Camera names')
    transport: str = setting('compressed', 'What the cameras send', choices=('raw', 'compressed'))
    image_topic: str = setting('{camera}/image_raw', 'Image topic of a camera; compressed adds /compressed')
    keypoints_topic: str = setting('{camera}/keypoints', 'Keypoint topic of a camera, to be published; body17')
    expected_topic: str = setting(
        '/pose_node/expected/{camera}', 'Topic of pose_node that tells whom to expect in the pictures of a camera'
    )
    expected_age_s: float = setting(
        0.5, 'What is expected for a time farther than this from the picture\'s is of no use', unit='s',
        low=0.0, high=10.0,
    )
    reliability: str = setting(
        'best_effort', 'QoS asked of the cameras; best_effort also takes what a reliable publisher sends',
        choices=('best_effort', 'reliable'),
    )
    queue_depth: int = setting(2, 'QoS history per camera, keep last', low=1, high=100)
    diagnostics_period_s: float = setting(1.0, 'Time between two /diagnostics', unit='s', low=0.05, high=60.0)
    stale_after_s: float = setting(
        2.0, 'A camera without a frame for longer is an error', unit='s', low=0.05, high=3600.0
    )
    detector: DetectorConfig = field(default_factory=DetectorConfig)
