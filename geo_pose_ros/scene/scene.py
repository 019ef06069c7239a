# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Scene: what lasts from set to set, and the one step by which a set changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

import numpy as np

from .. import compiled
from ..arrays import FloatArray, IntArray
from ..detection.settings import DetectorConfig
from ..fusion.association import find_missing_views
from ..fusion.left_right import limbs_of
from ..fusion.prior import LiftedViews
from ..fusion.table import gather
from ..fusion.views import BodyViews
from ..lifting.lifter import PoseLifter
from ..rigs.plausibility import find_other_up
from ..skeleton import BODY17, OUTPUTS, mirror_of
from ..types import Bodies3D, CameraRig, ClockModel, Keypoints2D
from .bodies import MeasuredBodies, to_bodies
from .body_lifter import BodyLifter
from .bones import BoneLengths
from .cameras.learner import CameraLearner
from .cameras.states import CameraState, CameraStates
from .further import FurtherJoints
from .kernels.tracks import ReportArrays, write_report
from .measurement import Assignment, Measured, assign, measure_bodies
from .observation import Observation, Observer
from .predictions import Predictions
from .reidentification import (
    Recognition,
    find_left_behind,
    find_newcomers,
    find_only_prompted,
    merge_duplicates,
    reidentify,
)
from .settings import SceneConfig
from .tracks import Tracks


@dataclass(frozen=True, slots=True, eq=False)
class SceneResult:
    """What one set gave.

    Attributes:
        bodies: in the world frame.
        keypoints: per camera that delivered, of the bodies' skeleton, the sides of limbs repaired where the other views
            and the track know better.
        exchanged: per camera that delivered, limb groups (arms or legs of a person) whose sides the detector had
            exchanged.
        residuals_px: per camera, distances (n,) px between its inlier keypoints and the reprojected joints.
        cameras: what is known of each camera.
        unassigned: per camera that delivered, detections that belong to no body.
        owners: per camera that delivered, (P,) the id of the body that each detection is of, -1 for none.
        is_full: whether somebody new has to wait, as ``tracking.max_bodies`` are followed.
        measured: the people of this set before they are filtered; None where nothing was fused.
        stage_ms: wall time of undistort, associate, lift (with a lifter), solve and track.
    """

    bodies: Bodies3D
    keypoints: Mapping[str, Keypoints2D] = field(default_factory=dict)
    exchanged: Mapping[str, int] = field(default_factory=dict)
    residuals_px: Mapping[str, FloatArray] = field(default_factory=dict)
    cameras: Mapping[str, CameraState] = field(default_factory=dict)
    unassigned: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, IntArray] = field(default_factory=dict)
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    measured: MeasuredBodies | None = None
    is_full: bool = False


class _Stages:
    """Wall time of consecutive stages, ms."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now


class Scene:
    """The people before a rig and the cameras of it, over time. Feed it every set in order; not thread-safe.

    Attributes:
        skeleton: of the bodies, and of the keypoints that it takes; body17's joints come first.
    """

    def __init__(
        self, rig: CameraRig, config: SceneConfig | None = None, lifter: PoseLifter | None = None,
        min_confidence: float = DetectorConfig().min_confidence,
    ) -> None:
        """Start empty.

        Args:
            rig: the cameras.
            config: settings; None for the defaults.
            lifter: lifts single views; None to triangulate only.
            min_confidence: keypoints of less confidence are not used.
        """
        compiled.prepare()
        self._config = config = config or SceneConfig()
        self._min_confidence = min_confidence
        self.skeleton = OUTPUTS[config.skeleton]
        self._tracks = Tracks(config.tracking, len(BODY17))
        self._further: FurtherJoints | None = None
        if self.skeleton is not BODY17:
            self._further = FurtherJoints(self.skeleton, config.tracking, config.solver)
        self._recognition = Recognition(config.tracking)
        self._bones = BoneLengths(people=config.tracking.people) if config.solver.bone_spread else None
        self._pose_lifter = lifter
        self._lifter: BodyLifter | None = None
        self.with_rig(rig)

    def __repr__(self) -> str:
        return f'Scene({", ".join(self._rig.names)}; {self._tracks!r}; {self._cameras!r})'

    @property
    def rig(self) -> CameraRig:
        """The cameras."""
        return self._rig

    def reset(self) -> None:
        """Forget all people and what was learned of the cameras; body ids go on."""
        self._tracks.reset()
        self._recognition.reset()
        self.with_rig(self._rig)

    def with_rig(self, rig: CameraRig) -> None:
        """Go on with other cameras, or with better calibrated ones: tracks, ids and bone lengths survive.

        What was learned of the cameras' errors is forgotten, as it was about the rig before.
        """
        self._rig = rig
        # A rig that contradicts the setting has no known upright.
        self._up = 'none' if find_other_up(rig, self._config.lifter.up) else self._config.lifter.up
        self._observer = Observer(rig, self.skeleton, self._config.depth)
        # The cameras' offsets, and the clocks that follow.
        self._clocks: tuple[FloatArray, Mapping[str, ClockModel]] | None = None
        self._cameras = CameraStates(self._observer.focal_px, self._config.cameras)
        self._learner = CameraLearner(self._cameras, self._config.tracking.gate_m)
        # Its past is of the cameras before.
        if self._pose_lifter is not None:
            self.with_lifter(self._pose_lifter)

    def with_lifter(self, lifter: PoseLifter) -> None:
        """Go on with another lifter: all survives but the windows that the lifter before was given."""
        self._pose_lifter, self._lifter = lifter, BodyLifter(lifter, self._config.lifter, self._rig.floor)

    def use_min_confidence(self, min_confidence: float) -> None:
        """Use keypoints from ``min_confidence`` on from the next set."""
        self._min_confidence = min_confidence

    def clocks(self) -> Mapping[str, ClockModel]:
        """Return each camera's clock: what the rig says, and what people's motion adds to that.

        It is the same mapping until something is learned.
        """
        offset_s, clocks = self._cameras.clocks.offset_s, self._clocks
        if clocks is None or clocks[0] is not offset_s:
            self._clocks = clocks = offset_s, {
                camera.name: ClockModel(camera.clock.offset_s + more_s)
                for camera, more_s in zip(self._rig.cameras, offset_s.tolist(), strict=True)
            }
        return clocks[1]

    def predictions(self) -> Predictions:
        """Return the people of the last set, to be predicted in the images of the next ones."""
        tracks = self._tracks
        now = np.flatnonzero(~tracks.lost)
        return Predictions(
            tracks.stamp_ns or 0, BODY17, tracks.filter.position[now], tracks.filter.velocity[now],
            tracks.joint_sigma_m(now), tracks.ids[now], self.clocks(), self._up,
        )

    def step(
        self,
        stamp_ns: int,
        keypoints: Mapping[str, Keypoints2D],
        cam_from_world: Mapping[str, FloatArray] | None = None,
    ) -> SceneResult:
        """Take in one set: predict the people, assign detections to them, lift, solve, update.

        Args:
            stamp_ns: the set's instant; every view has its own, its keypoints' stamp.
            keypoints: of ``skeleton``, by camera name; cameras may be missing.
            cam_from_world: (3, 4) of cameras that move, at their view's instant; the others are where the rig says.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        stages = _Stages()
        observation = self._observer.observe(
            stamp_ns, keypoints, cam_from_world or {}, self._cameras.clocks, self._min_confidence
        )
        stages.lap('undistort')
        dt_s = self._tracks.predict(stamp_ns)
        assignment = assign(observation, self._tracks, self._config.tracking)
        stages.lap('associate')
        measured = self._solve(observation, assignment, stages)
        stages.lap('solve')
        measured, bodies = self._update(observation, measured, dt_s)
        stages.lap('track')
        return self._report(observation, keypoints, measured, bodies, stages)

    def _solve(self, observation: Observation, assignment: Assignment, stages: _Stages) -> Measured:
        """Return a set's people with their joints."""
        tracks, lifter, ids = self._tracks, self._lifter, gather(self._tracks.ids, assignment.tracks, -1)
        bones = None if self._bones is None else self._bones.prior(ids)
        sure_m = None if bones is None else bones.sure_lengths()

        def lift(using: BodyLifter, keypoints: BodyViews, rows: IntArray) -> LiftedViews:
            stages.lap('solve')
            lengths_m = None if sure_m is None else sure_m[rows]
            lifted = using.lift(observation.stamp_ns, observation.cameras, keypoints, ids[rows], lengths_m)
            stages.lap('lift')
            return lifted

        return measure_bodies(
            observation.cameras, assignment, tracks, bones, self._config, self._cameras.noise,
            None if lifter is None else partial(lift, lifter),
        )

    def _update(self, observation: Observation, measured: Measured, dt_s: float) -> tuple[Measured, Bodies3D]:
        """Decide who is who, and learn; return the people who are there, and all that are published."""
        tracks, config, cameras = self._tracks, self._config.tracking, observation.cameras
        measured = merge_duplicates(measured, tracks, config)
        measured, found = reidentify(measured, tracks, self._bones, config)
        tracks.filter.restart(found)
        measured = self._leave_behind(observation, measured, dt_s)
        local = cameras.see(measured.estimate.solution.xyz, measured.velocity)
        visible, missing = find_missing_views(local, cameras, measured.views, config.person_breadth_m)
        real = ~find_only_prompted(measured, observation, tracks, visible, config)
        if not real.all():
            measured, local, visible, missing = measured.select(real), local[:, real], visible[real], missing[real]
        solution = measured.estimate.solution
        seen = (measured.views >= 0).sum(1)
        starts = observation.detections.starts
        most = int((starts[1:] - starts[:-1]).max())
        rate = seen / np.maximum(seen + missing.sum(1), 1)
        tracks.update(measured.tracks, solution, seen, rate, alone=most <= 1)
        self._recognition.recognise(observation, measured.views, tracks, self._bones)
        ids = tracks.ids[: len(measured)]
        self._learner.add(observation, measured, ids, local, visible, dt_s)
        if self._bones is not None:
            self._bones.learn(ids, self._recognition.known(tracks.ids), solution.seen_xyz, solution.seen_covariance)
        if self._lifter is not None:
            self._lifter.remember(observation.stamp_ns, cameras, measured.estimate.views, ids, tracks.ids)
        if self._further is not None:
            self._further.update(observation, measured, tracks, self._cameras.noise, dt_s)
        bodies = to_bodies(
            observation.stamp_ns, self._rig.world_frame_id, self.skeleton, measured.estimate, tracks, self._further
        )
        return measured, bodies

    def _leave_behind(self, observation: Observation, measured: Measured, dt_s: float) -> Measured:
        """Return the people who are not left behind by a jump of the scene; the others are only remembered."""
        cameras, tracks = observation.cameras, self._tracks
        if not find_newcomers(measured, tracks).any():
            return measured
        local = cameras.see(tracks.predicted(), tracks.filter.velocity)
        in_sight, _ = find_missing_views(local, cameras, np.full((len(tracks), len(cameras)), -1), 0.0)
        left = find_left_behind(measured, tracks, in_sight.sum(1), dt_s)
        tracks.leave(left)
        return measured.select(~gather(left, measured.tracks, False))

    def _report(
        self, observation: Observation, keypoints: Mapping[str, Keypoints2D], measured: Measured, bodies: Bodies3D,
        stages: _Stages,
    ) -> SceneResult:
        names, starts, solution = self._rig.names, observation.detections.starts.tolist(), measured.estimate.solution
        confidence, cameras = measured.estimate.views.confidence, len(self._rig)
        report = ReportArrays(
            np.empty(starts[-1], np.int64), np.empty(cameras, np.int64), np.empty(confidence.size),
            np.empty(cameras, np.int64),
        )
        write_report(measured.views, self._tracks.ids, confidence, solution.inlier, solution.residual_px, report)
        ends, used = report.ends.tolist(), report.used.tolist()
        exchanged = measured.estimate.exchanged.sum((0, 2)).tolist()
        unassigned = [starts[c + 1] - starts[c] - used[c] for c in range(cameras)]
        delivered = [(names[c], c) for c in np.flatnonzero(observation.cameras.present).tolist()]
        return SceneResult(
            bodies, _with_sides(keypoints, names, measured, starts),
            exchanged={name: exchanged[c] for name, c in delivered},
            residuals_px={
                name: report.residuals_px[begin:end]
                for name, begin, end in zip(names, [0, *ends], ends, strict=False) if len(measured)
            },
            cameras=dict(zip(names, self._cameras.states(), strict=True)),
            unassigned={name: unassigned[c] for name, c in delivered},
            owners={name: report.owners[starts[c] : starts[c + 1]] for name, c in delivered}, stage_ms=stages.ms,
            measured=MeasuredBodies(self._tracks.ids[: len(measured)].copy(), measured.estimate),
            is_full=max(unassigned) > 0 and self._tracks.present >= self._config.tracking.max_bodies,
        )


def _with_sides(
    keypoints: Mapping[str, Keypoints2D], names: Sequence[str], measured: Measured, starts: Sequence[int]
) -> Mapping[str, Keypoints2D]:
    """Return the keypoints with the sides of limbs as the solver used them; camera c begins at ``starts[c]``."""
    exchanged = measured.estimate.exchanged
    if not exchanged.any():
        return keypoints
    repaired = dict(keypoints)
    for c in np.flatnonzero(exchanged.any((0, 2))).tolist():
        seen = keypoints[names[c]]
        mirror = mirror_of(seen.skeleton)
        values = [one.copy() for one in (seen.xy, seen.confidence, seen.depth_m) if one is not None]
        for group, limb in zip(exchanged[:, c], limbs_of(seen.skeleton), strict=True):
            rows = (measured.views[group, c] - starts[c])[:, None]
            for one in values:
                one[rows, limb] = one[rows, mirror[limb]]
        for one in values:
            one.flags.writeable = False
        depth_m = values[2] if len(values) > 2 else None
        repaired[names[c]] = replace(seen, xy=values[0], confidence=values[1], depth_m=depth_m)
    return repaired
