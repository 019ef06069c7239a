"""Scene: what lasts from set to set, and the one step by which a set changes it.

One step reads: predict everybody to the set's instant, associate detections with them and group the rest into new
people, solve the joints from all views, update tracks and cameras, report.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray
from ..detection.settings import DetectorConfig
from ..errors import CalibrationError
from ..fusion.association import claim, supports
from ..fusion.estimate import Estimate, Lift, estimate_bodies
from ..fusion.grouping import group
from ..fusion.lifted import LiftedViews
from ..fusion.merging import adrift, merge_lone_views, same_bodies, second_readings
from ..fusion.solver import Circumstances
from ..fusion.views import Cameras, Detections
from ..geometry.matrices import traces
from ..geometry.projection import normalize
from ..lifting.lifter import PoseLifter
from ..skeleton import BODY17, mirror_of
from ..types import Bodies3D, CameraRig, ClockModel, Intrinsics, Keypoints2D
from .bodies import to_bodies
from .bones import BoneLengths
from .cameras import CameraState, CameraStates
from .history import PoseHistory
from .predictions import Predictions
from .reidentification import reunite
from .settings import SceneConfig
from .tracks import Tracks

_NS_PER_S = 1_000_000_000
# Views of a body that are lifted: those that show most of it. Lifters err alike, so that more say little more.
_LIFTED_VIEWS = 3
# A camera is looked for its people so far from their place, at focal length 1: some 20 degrees.
_ADRIFT_REACH = 0.35
# The cameras are learned about this often, s: successive sets say much the same.
_LEARN_EVERY_S = 0.09
# Bodies are solved again where a better velocity moves a view's joint by more than this, m.
_AGAIN_M = 0.008


@dataclass(frozen=True, slots=True, eq=False)
class SceneResult:
    """What one set gave.

    Attributes:
        bodies: in the world frame.
        keypoints: body17 keypoints per camera that delivered.
        residuals_px: per camera, distances (n,) px between its inlier keypoints and the reprojected joints.
        cameras: what is known of each camera.
        unassigned: per camera that delivered, detections that belong to no body.
        owners: per camera that delivered, (P,) the id of the body that each detection is of, -1 for none.
        stage_ms: wall time of associate, solve, lift (within solve) and track.
    """

    bodies: Bodies3D
    keypoints: Mapping[str, Keypoints2D] = field(default_factory=dict)
    residuals_px: Mapping[str, FloatArray] = field(default_factory=dict)
    cameras: Mapping[str, CameraState] = field(default_factory=dict)
    unassigned: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, IntArray] = field(default_factory=dict)
    stage_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """B people: ``views`` (B, C) their detections, -1 for none; ``tracks`` (B,) whom each continues, -1: a new one."""

    views: IntArray
    tracks: IntArray

    def __len__(self) -> int:
        return len(self.tracks)

    def select(self, kept: NDArray[np.bool_]) -> _People:
        return self if kept.all() else _People(self.views[kept], self.tracks[kept])


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """A set that the cameras may be learned about from, once the next one tells how fast people were.

    Attributes:
        stamp_ns: of the set.
        ids: (B,) its people.
        cameras, estimate: as solved.
        astray: (C, 2) see ``adrift``.
    """

    stamp_ns: int
    ids: IntArray
    cameras: Cameras
    estimate: Estimate
    astray: FloatArray


def _rows_of(xyz: FloatArray, ids: IntArray, wanted: IntArray) -> FloatArray:
    """Return the rows (B', J, 3) of ``xyz`` (B, J, 3), of bodies ``ids`` (B,), for ``wanted`` (B',), or NaN."""
    index = {body: row for row, body in enumerate(ids.tolist())}
    rows = np.array([index.get(body, -1) for body in wanted.tolist()], np.int64)
    return np.concatenate([xyz, np.full((1, *xyz.shape[1:]), np.nan)])[rows]


class _Stages:
    """Wall time of consecutive stages, ms."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self.ms[stage] = (now - self._last) * 1e3
        self._last = now


class Scene:
    """The people before a rig and the cameras of it, over time. Feed it every set in order; not thread-safe."""

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
        self._config = config = config or SceneConfig()
        self._min_confidence = min_confidence
        self._tracks = Tracks(config.tracking, len(BODY17))
        self._bones: BoneLengths | None = None
        if lifter is None:
            self._lifter: PoseLifter | None = None
        else:
            self.with_lifter(lifter)
        self._use(rig)

    def _use(self, rig: CameraRig) -> None:
        self._rig = rig
        self._cam_from_world = np.stack([camera.cam_from_world for camera in rig.cameras])
        self._focal_px = np.array([np.diag(camera.intrinsics.K)[:2].mean() for camera in rig.cameras])
        self._bounds = np.stack([_bounds(camera.intrinsics) for camera in rig.cameras])
        self._cameras = CameraStates(self._focal_px, self._config.cameras)
        # Of what these cameras saw.
        self._history = _new_history(self._lifter)
        # Stamps of the first set and of each camera's last one.
        self._began_ns = float('inf')
        self._delivered_ns: dict[str, int] = {}
        self._unlearned_s = 0.0
        self._past: deque[_Past] = deque(maxlen=2)
        self._nowhere = np.full((len(rig), 2), np.nan)

    def __repr__(self) -> str:
        return f'Scene({", ".join(self._rig.names)}; {self._tracks!r}; {self._cameras!r})'

    @property
    def rig(self) -> CameraRig:
        """The cameras."""
        return self._rig

    def reset(self) -> None:
        """Forget all people and what was learned of the cameras; body ids go on."""
        self._tracks.reset()
        self._use(self._rig)

    def with_rig(self, rig: CameraRig) -> None:
        """Go on with other cameras, or with better calibrated ones: tracks, ids and bone lengths survive.

        What was learned of the cameras' errors is forgotten, as it was about the rig before.
        """
        self._use(rig)

    def with_lifter(self, lifter: PoseLifter) -> None:
        """Go on with another lifter: all but what the lifter before had been shown survives."""
        self._lifter = lifter
        # The solver uses bone lengths only where a lifter couples the joints.
        if self._bones is None and self._config.solver.bone_spread:
            self._bones = BoneLengths(BODY17)
        self._history = _new_history(lifter)

    def use_min_confidence(self, min_confidence: float) -> None:
        """Use keypoints from ``min_confidence`` on from the next set."""
        self._min_confidence = min_confidence

    def clocks(self) -> dict[str, ClockModel]:
        """Return each camera's clock: what the rig says, and what people's motion adds to that."""
        offsets_s = self._cameras.clocks.offset_s.tolist()
        return {
            camera.name: ClockModel(camera.clock.offset_s + offset_s)
            for camera, offset_s in zip(self._rig.cameras, offsets_s, strict=True)
        }

    def predictions(self) -> Predictions:
        """Return the people of the last set, to be predicted in the images of the next ones."""
        tracks = self._tracks
        now = tracks.unseen_s <= self._config.tracking.max_gap_s
        covariance = tracks.filter.covariance[now] + tracks.lasting[now]
        sigma_m = np.sqrt(traces(covariance) / 3.0)
        return Predictions(
            tracks.stamp_ns or 0, BODY17, tracks.filter.position[now], tracks.filter.velocity[now], sigma_m,
            tracks.ids[now], self.clocks(),
        )

    def step(
        self,
        stamp_ns: int,
        keypoints: Mapping[str, Keypoints2D],
        cam_from_world: Mapping[str, FloatArray] | None = None,
    ) -> SceneResult:
        """Take in one set.

        Args:
            stamp_ns: the set's instant; every view has its own, its keypoints' stamp.
            keypoints: body17, by camera name; cameras may be missing.
            cam_from_world: (3, 4) of cameras that move, at their view's instant; the others are where the rig says.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        stages = _Stages()
        cameras, detections = self._look(stamp_ns, keypoints, cam_from_world or {})
        stages.lap('undistort')
        dt_s = self._tracks.advance(stamp_ns)
        hints = self._hints(keypoints)
        people = self._associate(stamp_ns, cameras, detections, hints)
        stages.lap('associate')
        people, estimate = self._solve(stamp_ns, cameras, detections, people)
        stages.lap('solve')
        bodies, estimate, owners = self._update(stamp_ns, cameras, detections, hints, people, estimate, dt_s)
        stages.lap('track')
        if self._lifter is not None:
            # The solver calls the lifter; their times are shown apart.
            stages.ms['lift'] = estimate.lift_ms
            stages.ms['solve'] -= estimate.lift_ms
        return self._report(cameras, detections, keypoints, bodies, estimate, owners, stages)

    # Look: the set as arrays.

    def _look(
        self, stamp_ns: int, keypoints: Mapping[str, Keypoints2D], moved: Mapping[str, FloatArray]
    ) -> tuple[Cameras, Detections]:
        unknown = (set(keypoints) | set(moved)) - set(self._rig.names)
        if unknown:
            raise CalibrationError(f'Keypoints of {sorted(unknown)}: the rig has only {", ".join(self._rig.names)}.')
        joints, least = len(BODY17), self._min_confidence
        xn, confidence = [], []
        stamps_ns = np.full(len(self._rig), stamp_ns)
        present = np.zeros(len(self._rig), bool)
        for c, camera in enumerate(self._rig.cameras):
            seen = keypoints.get(camera.name)
            if seen is None:
                xn.append(np.zeros((0, joints, 2)))
                confidence.append(np.zeros((0, joints)))
                continue
            present[c] = True
            stamps_ns[c] = seen.stamp_ns
            xn.append(normalize(camera.intrinsics, seen.xy))
            confidence.append(seen.confidence * (seen.confidence >= least))
        pose = self._cam_from_world
        if moved:
            pose = pose.copy()
            for name, cam_from_world in moved.items():
                pose[self._rig.names.index(name)] = cam_from_world
        known_s = np.array([camera.clock.offset_s for camera in self._rig.cameras])
        self._cameras.clocks.stamped(stamps_ns, known_s, present)
        # A stamp that is absurd must not throw people about.
        late_s = (stamps_ns - stamp_ns) / _NS_PER_S - known_s - self._cameras.clocks.offset_s
        late_s = np.where(present, np.clip(late_s, -0.5, 0.5), 0.0)
        return Cameras(pose, self._focal_px, self._bounds, late_s, present), Detections.of(xn, confidence)

    # Associate: known people first, then new ones.

    def _hints(self, keypoints: Mapping[str, Keypoints2D]) -> IntArray:
        """Return (D,) the id of the body that each detection was made for, -1 for none."""
        hints = [keypoints[name].hints for name in self._rig.names if name in keypoints]
        return np.concatenate([np.zeros(0, np.int64), *hints])

    def _associate(
        self, stamp_ns: int, cameras: Cameras, detections: Detections, hints: IntArray
    ) -> _People:
        settings = self._config.tracking
        expected = self._tracks.expected()
        local = cameras.see(expected, self._tracks.filter.velocity)
        # Where sets are far apart, or somebody was not seen for a while, predictions are poorer.
        gate_m = settings.gate_m + np.minimum(self._tracks.sigma_m(), settings.gate_m)
        views, nearest = claim(local, detections, gate_m, self._tracks.priority(), mirror_of(BODY17))
        order = self._seniority()
        sorted_views = views[order]
        merge_lone_views(
            cameras, local[:, order], detections, sorted_views, settings.gate_m, settings.new_gate_m
        )
        views[order] = sorted_views
        known = np.flatnonzero((views >= 0).any(1))
        free = np.ones(len(detections), bool)
        free[views[views >= 0]] = False
        # A second detection of somebody known is not somebody new.
        free &= nearest > settings.new_gate_m
        needed = min(settings.new_body_views, self._delivering(stamp_ns, cameras))
        new = group(
            cameras, detections, np.flatnonzero(free), settings.gate_m, settings.new_gate_m, needed
        )
        # What was found where a body was expected is no news of another one, while that one is held by others.
        lost = self._tracks.ids[(views >= 0).sum(1) < needed]
        news = (hints < 0) | np.isin(hints, lost)
        new = new[((new >= 0) & news[new]).sum(1) >= needed]
        return _People(
            np.concatenate([views[known], new]), np.concatenate([known, np.full(len(new), -1)])
        )

    def _seniority(self) -> IntArray:
        """Return the tracks, the senior ones first: confirmed before tentative, old before young."""
        return np.lexsort((self._tracks.ids, ~self._tracks.confirmed))

    def _delivering(self, stamp_ns: int, cameras: Cameras) -> int:
        """Return how many cameras delivered within the last second; in the first second all count."""
        if not self._began_ns <= stamp_ns:
            self._began_ns = stamp_ns
            self._delivered_ns.clear()
        names = [self._rig.names[c] for c in np.flatnonzero(cameras.present)]
        self._delivered_ns.update(dict.fromkeys(names, stamp_ns))
        if stamp_ns - self._began_ns < _NS_PER_S:
            return len(self._rig)
        return sum(stamp_ns - last_ns < _NS_PER_S for last_ns in self._delivered_ns.values())

    # Solve: joints from all views.

    def _solve(
        self, stamp_ns: int, cameras: Cameras, detections: Detections, people: _People
    ) -> tuple[_People, Estimate]:
        tracks = self._tracks
        xn, confidence = detections.gather(people.views)
        # -1, of new people, is what is appended.
        ids = np.append(tracks.ids, -1)[people.tracks]
        unknown = np.full((1, len(BODY17), 3), np.nan)
        position = np.concatenate([tracks.filter.position, unknown])[people.tracks]
        velocity = self._velocity(people)
        known = Circumstances(
            bones=None if self._bones is None else self._bones.prior(ids), place=_middle(position),
            place_variance=np.append(tracks.place_variance, np.inf)[people.tracks],
            expected=position, displacement=_displacement(cameras, velocity),
        )

        def estimated(known: Circumstances) -> Estimate:
            return estimate_bodies(
                cameras.cam_from_world, cameras.focal_px, xn, confidence, BODY17, self._config.solver,
                self._lift_of(stamp_ns, cameras, ids), known, self._cameras.noise,
            )

        estimate = estimated(known)
        if known.displacement is not None:
            # The velocity was predicted; what the set says of it matters where views are far from the set's instant.
            old = people.tracks >= 0
            velocity[old] = tracks.filter.velocity_given(
                people.tracks[old], estimate.solution.xyz[old], estimate.solution.fleeting[old]
            )
            displacement = _displacement(cameras, velocity)
            if displacement is not None and np.abs(displacement - known.displacement).max() > _AGAIN_M:
                estimate = estimated(replace(known, displacement=displacement))
        found = np.asarray(np.isfinite(estimate.solution.xyz).any((1, 2)))
        return people.select(found), estimate.select(found)

    def _velocity(self, people: _People) -> FloatArray:
        """Return (B, J, 3) m/s, 0 for new people and unknown joints."""
        still = np.zeros((1, len(BODY17), 3))
        velocity = np.concatenate([self._tracks.filter.velocity, still])[people.tracks]
        return np.where(np.isfinite(velocity), velocity, 0.0)

    def _lift_of(self, stamp_ns: int, cameras: Cameras, body_ids: IntArray) -> Lift | None:
        """Return the lifter for the people ``body_ids`` (B,), -1 for new ones; None without a lifter."""
        lifter, history = self._lifter, self._history
        if lifter is None:
            return None

        def lift(xn: FloatArray, confidence: FloatArray, bodies: IntArray) -> LiftedViews:
            camera = _best_views(confidence, _LIFTED_VIEWS) if history is None else _all_views(confidence)
            body = np.arange(xn.shape[1])
            windows = None if history is None else partial(history.windows, stamp_ns, body_ids[bodies])
            cam_from_world = cameras.cam_from_world[camera]
            lifted = lifter.lift(
                xn[camera, body], confidence[camera, body], windows, up_in_cam=lifter.up_in_cam(cam_from_world),
                height_m=lifter.height_m(cam_from_world),
            )
            return LiftedViews.of_cameras(lifted.pose, lifted.sigma, lifted.root, cam_from_world)

        return lift

    # Update: who is who, and what the cameras are like.

    def _update(
        self, stamp_ns: int, cameras: Cameras, detections: Detections, hints: IntArray, people: _People,
        estimate: Estimate, dt_s: float,
    ) -> tuple[Bodies3D, Estimate, IntArray]:
        tracks = self._tracks
        velocity = self._velocity(people)
        people, estimate, velocity = self._settle(people, estimate, velocity)
        local = cameras.see(estimate.solution.xyz, velocity)
        expected, unexcused = supports(
            local, cameras.present, cameras.in_picture(local), people.views, self._config.tracking.person_breadth_m
        )
        real = ~self._only_hoped_for(people, estimate, detections, hints, expected)
        if not real.all():
            people, estimate, velocity = people.select(real), estimate.select(real), velocity[real]
            local, expected, unexcused = local[:, real], expected[real], unexcused[real]
        solution = estimate.solution
        seen = (people.views >= 0).sum(1)
        most = int(np.diff(detections.starts).max(initial=0))
        tracks.update(
            people.tracks, solution.xyz, solution.covariance, solution.fleeting, seen, solution.num_views,
            seen / np.maximum(seen + unexcused.sum(1), 1), most <= 1,
        )
        ids = tracks.ids[: len(people)]
        self._unlearned_s += dt_s
        if self._unlearned_s >= _LEARN_EVERY_S:
            self._learn(stamp_ns, ids, solution.seen_xyz)
        # Its own velocity needs the sets before and after.
        self._past.append(_Past(
            stamp_ns, ids, cameras, estimate,
            adrift(local, detections, people.views, expected, self._config.tracking.gate_m, _ADRIFT_REACH)
            if self._unlearned_s >= _LEARN_EVERY_S - 2.0 * dt_s else self._nowhere,
        ))
        if self._bones is not None:
            self._bones.learn(
                ids, tracks.ids, solution.seen_xyz, solution.seen_covariance, self._bones.prior(ids)
            )
        if self._history is not None and self._lifter is not None:
            up_in_cam = self._lifter.up_in_cam(cameras.cam_from_world)
            poses = self._lifter.canonical(estimate.xn, estimate.confidence, up_in_cam).pose2d
            self._history.remember(stamp_ns, ids, tracks.ids, poses)
        bodies = to_bodies(stamp_ns, self._rig.world_frame_id, BODY17, estimate, tracks, self._config.tracking)
        return bodies, estimate, _owners(people.views, ids, len(detections))

    def _only_hoped_for(
        self, people: _People, estimate: Estimate, detections: Detections, hints: IntArray,
        expected: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Return which people (B,) are there only because a detector was told to look for them.

        A keypoint network finds a person in whatever region it is given: somebody who is near, once more, or nobody.
        Such views do not count where they may be of somebody near, and one alone does not outweigh two cameras that
        should see the person and do not, ``expected`` (B, C), whatever their excuse: the ghost of somebody stands
        behind that one in most of them.
        """
        seen = people.views >= 0
        told = seen & (np.append(hints, -1)[people.views] >= 0)
        sought: NDArray[np.bool_] = (told == seen).all(1) & seen.any(1)
        if not sought.any():
            return sought
        # Whom more keypoints support; of two alike the senior.
        rank = np.empty(len(people), np.int64)
        ids = self._ids_of(people)
        rank[np.lexsort((-ids, estimate.solution.num_views.sum(1)))] = np.arange(len(people))
        own = seen & ~second_readings(
            estimate.solution.xyz, people.views, rank, detections, self._config.tracking.arms_length_m
        )
        missing = (expected & ~own).sum(1)
        return np.asarray(sought & ((own.sum(1) == 0) | (own.sum(1) == 1) & (missing >= 2)))

    def _ids_of(self, people: _People) -> IntArray:
        """Return (B,) the ids of ``people``, of new ones one that is younger than all."""
        return np.append(self._tracks.ids, np.iinfo(np.int64).max)[people.tracks]

    def _learn(self, stamp_ns: int, ids: IntArray, seen_xyz: FloatArray) -> None:
        """Learn about the cameras from the last set, now that this one's people (B,) and joints (B, J, 3) are known."""
        if len(self._past) < 2:
            return
        before, last = self._past
        around_s = (stamp_ns - before.stamp_ns) / _NS_PER_S
        after = _rows_of(seen_xyz, ids, last.ids)
        earlier = _rows_of(before.estimate.solution.seen_xyz, before.ids, last.ids)
        # A filter's velocity lags; the difference around the set does not.
        velocity = (after - earlier) / max(around_s, 1e-3)
        velocity = np.where(np.isfinite(velocity), velocity, 0.0)
        solution = last.estimate.solution
        self._cameras.learn(
            last.cameras, last.estimate.xn, last.estimate.weights, solution.trust, solution.support,
            solution.seen_xyz, solution.seen_covariance, velocity, last.astray, self._unlearned_s,
        )
        self._unlearned_s = 0.0

    def _settle(
        self, people: _People, estimate: Estimate, velocity: FloatArray
    ) -> tuple[_People, Estimate, FloatArray]:
        """Make one of two bodies that are one person, and give new people the ids of those who were lost there."""
        tracks, xyz = self._tracks, estimate.solution.xyz
        ids = self._ids_of(people)
        confirmed = np.append(tracks.confirmed, False)[people.tracks]
        order = np.lexsort((ids, ~confirmed))
        whose = same_bodies(xyz[order], people.views[order], self._config.tracking.same_body_m)
        kept = np.zeros(len(people), bool)
        kept[order] = whose == np.arange(len(people))
        people, estimate, velocity = people.select(kept), estimate.select(kept), velocity[kept]
        # Who is new, and who may have been missed: lost, or held by a lone view beside somebody whom several see.
        views = (people.views >= 0).sum(1)
        new = np.flatnonzero((people.tracks < 0) & (views >= min(2, len(self._rig))))
        barely = people.tracks[(people.tracks >= 0) & (views <= 1)]
        missed = np.setdiff1d(np.arange(len(tracks)), people.tracks[people.tracks >= 0])
        missed = np.union1d(missed, barely)
        if len(new) and len(missed):
            lengths = None if self._bones is None else self._bones.prior(tracks.ids[missed])
            again = reunite(
                estimate.solution.xyz[new], tracks.filter.position[missed], tracks.unseen_s[missed], lengths,
                self._config.tracking,
            )
            found = missed[again[again >= 0]]
            replaced = np.isin(people.tracks, found)
            people.tracks[new] = np.where(again >= 0, missed[again], -1)
            tracks.filter.restart(found)
            kept = ~replaced
            people, estimate, velocity = people.select(kept), estimate.select(kept), velocity[kept]
        return people, estimate, velocity

    # Report.

    def _report(
        self, cameras: Cameras, detections: Detections, keypoints: Mapping[str, Keypoints2D], bodies: Bodies3D,
        estimate: Estimate, owners: IntArray, stages: _Stages,
    ) -> SceneResult:
        names = self._rig.names
        support, residual_px = estimate.solution.support, estimate.solution.residual_px
        residuals = {name: residual_px[c][support[c]] for c, name in enumerate(names) if support.shape[1]}
        used = (estimate.confidence > 0.0).any(-1).sum(1)
        unassigned = {
            names[c]: int(detections.starts[c + 1] - detections.starts[c] - used[c])
            for c in np.flatnonzero(cameras.present)
        }
        owned = {
            names[c]: owners[detections.starts[c]:detections.starts[c + 1]] for c in np.flatnonzero(cameras.present)
        }
        states = dict(zip(names, self._cameras.states(), strict=True))
        return SceneResult(bodies, keypoints, residuals, states, unassigned, owned, stages.ms)


def _owners(views: IntArray, ids: IntArray, detections: int) -> IntArray:
    """Return (D,) the id of the body (B,) that each detection is of, -1 for none; ``views`` (B, C) name them."""
    owners = np.full(detections, -1)
    body, camera = np.nonzero(views >= 0)
    owners[views[body, camera]] = ids[body]
    return owners


def _new_history(lifter: PoseLifter | None) -> PoseHistory | None:
    """Return an empty history for a lifter that looks at several frames; None for any other."""
    if lifter is None or lifter.card.receptive_field == 1:
        return None
    return PoseHistory(lifter.card.receptive_field, lifter.card.rate_hz)


def _bounds(intrinsics: Intrinsics) -> FloatArray:
    """Return x min, y min, x max, y max of the picture on the ideal plane z = 1."""
    w, h = intrinsics.width - 1.0, intrinsics.height - 1.0
    left, right, top, bottom = normalize(intrinsics, 0.5 * np.array([[0.0, h], [2.0 * w, h], [w, 0.0], [w, 2.0 * h]]))
    return np.array([left[0], top[1], right[0], bottom[1]])


def _displacement(cameras: Cameras, velocity: FloatArray) -> FloatArray | None:
    """Return (C, B, J, 3) m, how far joints move from the set's instant to each view's; None if they do not."""
    if not (cameras.dt_s.any() and velocity.any()):
        return None
    return cameras.dt_s[:, None, None, None] * velocity


def _middle(position: FloatArray) -> FloatArray:
    """Return the mean (B, 3) of the joints (B, J, 3), NaN where one is unknown."""
    middle: FloatArray = position.mean(1)
    return middle


def _best_views(confidence: FloatArray, most: int) -> IntArray:
    """Return (V, B) the cameras that show most of each body, of confidence (C, B, J)."""
    shown = confidence.sum(-1)
    views = min(most, int((shown > 0.0).any(1).sum()) or 1, len(shown))
    if views == len(shown):
        return _all_views(confidence)
    return np.argpartition(-shown, views - 1, axis=0)[:views]


def _all_views(confidence: FloatArray) -> IntArray:
    """Return (C, B), every camera for each body, of confidence (C, B, J): a history has them all."""
    return np.repeat(np.arange(len(confidence))[:, None], confidence.shape[1], 1)
