# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Simulated scenes: people who move, cameras and their detectors, seeded, with exact truth.

Truth is where an ideal detector would find the joints (``detector.detector_joints`` of the mocap's): the constant
difference between two definitions of a hip is nobody's error. docs/scenes.md says more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np

from ..arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ..errors import ConfigError
from ..geometry.rigid import transform_points
from ..types import Camera, CameraRig
from .cameras import RING_FOCAL_PX, perturb_rotations, ring_rig, turn_camera
from .detector import LEAST_JOINTS, NoiseSettings, SimulatedDetections, detect, detector_joints
from .sight import Sight, see_people
from .walks import (
    GRID_HZ,
    MARGIN_S,
    acted,
    as_motion,
    cells,
    crossing_paths,
    headings,
    placed,
    recorded_clips,
    walk_on_spot,
    walker,
    walks,
)

MIXED_HZ = (15.0, 30.0, 60.0)
# Simulated clocks start here: a stamp of zero is a special case nowhere, but looks like one.
EPOCH_NS = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Hidden:
    """A person is in no image for a while.

    Attributes:
        person: index.
        start_s, end_s: from when to when.
    """

    person: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Knock:
    """A camera that is turned.

    Attributes:
        camera: index.
        pixels: displacement of its image, px.
        start_s, end_s: from when to when it is turned.
    """

    camera: int
    pixels: float
    start_s: float
    end_s: float = float('inf')


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scene; all of it follows from these fields.

    Attributes:
        cameras, people: how many.
        rate_hz: frames a second of every camera; 0 (MIXED): 15, 30 and 60 by turns.
        phase: 'trigger' (all at once), 'random' (per camera), 'half' (every second camera half a period late).
        loss: share of frames lost between camera and node.
        miss: share of detections that a detector misses.
        miss_s: how long it goes on missing a person (furniture, a poor view), on average; 0: one image.
        calibration_error_deg: by which each camera of the pipeline's rig is turned about a random axis.
        clock_offset_ms: each camera's stamps are off by a constant from +- this; they sum to zero.
        speed: motion is played so many times as fast.
        spacing_m: distance that people keep (centre to centre; `cell`: of the grid).
        motion: 'walk' (through the room), 'cell' (each at a position), 'cross' (two walk past each other, 0.5 m apart).
        duration_s: simulated time.
        seed: everything random derives from it; each cause has its own stream.
        hidden: people who are in no image, and when.
        knocks: cameras that are turned, and when.
        noise: the detector's.
        recorded: real motion where the shared data are; else a synthetic walker.
        pair_deg: from how far apart two cameras look.
    """

    cameras: int = 4
    people: int = 3
    rate_hz: float = 30.0
    phase: str = 'trigger'
    loss: float = 0.0
    miss: float = 0.05
    miss_s: float = 0.0
    calibration_error_deg: float = 0.0
    clock_offset_ms: float = 0.0
    speed: float = 1.0
    spacing_m: float = 1.0
    motion: str = 'walk'
    duration_s: float = 10.0
    seed: int = 0
    hidden: tuple[Hidden, ...] = ()
    knocks: tuple[Knock, ...] = ()
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    recorded: bool = True
    pair_deg: float = 80.0

    def __post_init__(self) -> None:
        if self.phase not in ('trigger', 'random', 'half'):
            raise ConfigError(f"Scenario: received phase '{self.phase}', expected trigger, random or half.")
        if self.motion not in ('walk', 'cell', 'cross'):
            raise ConfigError(f"Scenario: received motion '{self.motion}', expected walk, cell or cross.")
        wanted = 2 if self.motion == 'cross' else self.people
        if self.cameras < 1 or self.people != wanted or self.people < 1:
            raise ConfigError(
                f'Scenario: received {self.cameras} cameras and {self.people} people, expected at least one of each, '
                f"and {wanted} people for motion '{self.motion}'."
            )
        for name, low, high in (
            ('loss', 0.0, 1.0), ('miss', 0.0, 1.0), ('miss_s', 0.0, 1e3), ('rate_hz', 0.0, 1e3), ('speed', 0.1, 10.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f'Scenario: received {name} {getattr(self, name)}, expected {low:g} .. {high:g}.')

        for what, index, count in (
            *(('hides person', h.person, self.people) for h in self.hidden),
            *(('knocks camera', k.camera, self.cameras) for k in self.knocks),
        ):
            if not 0 <= index < count:
                raise ConfigError(f'Scenario: it {what} {index}, expected 0 .. {count - 1}.')

    def rates_hz(self) -> FloatArray:
        """Return the rate of each camera, (C,)."""
        if self.rate_hz:
            return np.full(self.cameras, self.rate_hz)
        return np.array([MIXED_HZ[c % len(MIXED_HZ)] for c in range(self.cameras)])

    def random(self, cause: int, camera: int = 0) -> np.random.Generator:
        """Return the random stream of a cause."""
        return np.random.default_rng([self.seed, cause, camera])


_MOTION, _RIG, _CALIBRATION, _PHASE, _LOSS, _DETECTOR, _CLOCK, _ARRIVAL = range(8)


@dataclass(frozen=True, slots=True, eq=False)
class CameraRecord:
    """One camera of a built scene: F images that arrived.

    Attributes:
        camera: as it is (before any knock).
        exposure_s: (F,) when the images were taken.
        stamp_ns: (F,) what they say.
        arrival_ns: (F,) when the node gets them.
        detections: of P people.
        visible: (F, P) people with at least five joints in sight.
    """

    camera: Camera
    exposure_s: FloatArray
    stamp_ns: IntArray
    arrival_ns: IntArray
    detections: SimulatedDetections
    visible: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A built scene.

    Attributes:
        scenario: what it was built from.
        motion: joints of the people as an ideal detector defines them, by time in s.
        rig: as the cameras are; given_rig: as the pipeline is given it.
        cameras: in rig order.
        clock_offset_s: (C,) stamp minus exposure.
    """

    scenario: Scenario
    motion: Callable[[FloatArray], FloatArray]
    rig: CameraRig
    given_rig: CameraRig
    cameras: tuple[CameraRecord, ...]
    clock_offset_s: FloatArray

    def truth(self, stamp_ns: IntArray | int) -> FloatArray:
        """Return joints (..., P, 17, 3) m at a stamp of a clock that is right."""
        return self.motion((np.asarray(stamp_ns) - EPOCH_NS) / NS_PER_S)

    @property
    def period_s(self) -> float:
        """Period of the fastest camera."""
        return float(1.0 / self.scenario.rates_hz().max())


def _people(scenario: Scenario) -> tuple[Callable[[FloatArray], FloatArray], float]:
    """Return the people's mocap joints by time, and how far they get from the origin, m."""
    rng = scenario.random(_MOTION)
    span_s = scenario.duration_s * scenario.speed + 2.0 * MARGIN_S * scenario.speed
    frames = int(np.ceil(span_s * GRID_HZ)) + 1
    # In a crowd of cells, nobody sways into the neighbour's.
    sway_s = 0.15 if scenario.motion == 'cell' else 0.5
    clips = [walk_on_spot(clip, sway_s) for clip in (recorded_clips() if scenario.recorded else [])]
    bodies = []
    for _ in range(scenario.people):
        own = clips or [walk_on_spot(walker(rng, 8.0), sway_s)]
        bodies.append(acted(own, rng, frames))
    if scenario.motion == 'cross':
        paths = crossing_paths(frames, scenario.duration_s * scenario.speed / 2.0, 0.5, 1.2)
    elif scenario.motion == 'cell':
        paths = np.repeat(cells(scenario.people, scenario.spacing_m)[None], frames, 0)
    else:
        room_m = 0.6 + 0.75 * scenario.spacing_m * np.sqrt(scenario.people)
        paths = walks(rng, scenario.people, scenario.spacing_m, room_m, frames)
    reach_m = float(np.percentile(np.linalg.norm(paths, axis=-1).max(1), 99)) + 0.4
    joints = placed(np.stack(bodies, 1), paths, headings(paths, rng))
    return as_motion(joints, scenario.speed), reach_m


def build(scenario: Scenario, carried: Callable[[FloatArray], FloatArray] | None = None) -> World:
    """Return the scene: motion, rigs, and what every camera delivers.

    ``carried`` gives rig_from_world (F, 3, 4) at times (F,) s of a rig that moves; its cameras are those of ``rig``
    in a frame of its own then.
    """
    motion, reach_m = _people(scenario)

    def truth(time_s: FloatArray) -> FloatArray:
        return np.asarray(detector_joints(motion(time_s), scenario.noise.definition))

    def before_rig(time_s: FloatArray) -> FloatArray:
        joints = truth(time_s)
        return joints if carried is None else transform_points(carried(time_s)[:, None], joints)

    rig = ring_rig(scenario.cameras, reach_m, scenario.random(_RIG), scenario.pair_deg)
    given = perturb_rotations(rig, scenario.calibration_error_deg, scenario.random(_CALIBRATION))
    rates_hz = scenario.rates_hz()
    phase = _phases(scenario)
    offsets_s = scenario.random(_CLOCK).uniform(-1.0, 1.0, scenario.cameras) * scenario.clock_offset_ms / 1e3
    offsets_s -= offsets_s.mean()
    records = tuple(
        _record(scenario, before_rig, rig.cameras[c], c, rates_hz[c], phase[c], offsets_s[c])
        for c in range(scenario.cameras)
    )
    return World(scenario, truth, rig, given, records, offsets_s)


def _phases(scenario: Scenario) -> FloatArray:
    """Return when each camera's first image is taken, s, (C,)."""
    periods_s = 1.0 / scenario.rates_hz()
    drawn = scenario.random(_PHASE).random(scenario.cameras)
    if scenario.phase == 'random':
        return np.asarray(drawn * periods_s)
    if scenario.phase == 'half':
        return np.asarray((np.arange(scenario.cameras) % 2) * periods_s / 2.0)
    return np.zeros(scenario.cameras)


def _record(
    scenario: Scenario, truth: Callable[[FloatArray], FloatArray], camera: Camera, index: int, rate_hz: float,
    phase_s: float, offset_s: float,
) -> CameraRecord:
    """Return what one camera delivers."""
    exposure_s = phase_s + np.arange(int(np.ceil((scenario.duration_s - phase_s) * rate_hz - 1e-9))) / rate_hz
    seen = _sight(scenario, truth(exposure_s), camera, index, exposure_s)
    size_px = camera.intrinsics.width, camera.intrinsics.height
    lost = scenario.miss, scenario.miss_s
    found = detect(seen, size_px, rate_hz, lost, scenario.noise, scenario.random(_DETECTOR, index))
    stamp_ns = EPOCH_NS + np.round((exposure_s + offset_s) * NS_PER_S).astype(np.int64)
    delay_s = scenario.random(_ARRIVAL, index).uniform(0.02, 0.03, len(exposure_s))
    arrival_ns = np.maximum.accumulate(EPOCH_NS + np.round((exposure_s + delay_s) * NS_PER_S).astype(np.int64))
    arrived = scenario.random(_LOSS, index).random(len(exposure_s)) >= scenario.loss
    kept = replace(found, **{f.name: getattr(found, f.name)[arrived] for f in fields(found)})
    visible = seen.visible.sum(-1) >= LEAST_JOINTS
    return CameraRecord(
        camera, exposure_s[arrived], stamp_ns[arrived], arrival_ns[arrived], kept, visible[arrived]
    )


def _sight(scenario: Scenario, joints: FloatArray, camera: Camera, index: int, exposure_s: FloatArray) -> Sight:
    """Return what a camera sees of ``joints`` (F, P, 17, 3), turned where it was knocked; hidden people are away."""
    joints = joints.copy()
    away = np.zeros(joints.shape[:2], bool)
    for gone in scenario.hidden:
        away[(exposure_s >= gone.start_s) & (exposure_s < gone.end_s), gone.person] = True
    # Far below the floor: in no image, and before nobody.
    joints[away] -= (0.0, 0.0, 1e6)
    seen = see_people(camera, joints)
    for knock in (k for k in scenario.knocks if k.camera == index):
        turned = turn_camera(camera, np.array([0.3, 1.0, 0.0]), knock.pixels / RING_FOCAL_PX)
        during = (exposure_s >= knock.start_s) & (exposure_s < knock.end_s)
        moved = see_people(turned, joints)
        seen = Sight(*(
            np.where(during.reshape(-1, *[1] * (a.ndim - 1)), b, a)
            for a, b in ((getattr(seen, f.name), getattr(moved, f.name)) for f in fields(seen))
        ))
    return Sight(np.where(away[..., None, None], np.nan, seen.xy), seen.visible & ~away[..., None], np.where(
        away[..., None], -1, seen.hidden_by
    ))
