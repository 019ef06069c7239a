"""From what cameras saw of people to a rig that is judged: the steps of `geo_pose calibrate`, without files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..errors import CalibrationError
from ..types import CameraRig, ClockModel, Keypoints2D
from .bundle.parameters import LOG_FOCAL, OFFSET
from .bundle.solver import Adjustment, adjust
from .clocks import coarse_clocks
from .judge import Judgement, judge
from .people import match_people
from .scratch import rig_from_scratch
from .settings import CalibrateConfig
from .tracklets import Tracklet, different_poses, instants, kept_aside, link_detections
from .views import Person, PoseViews, RigState, shared_instants, view_people, view_person
from .world import ScaleSource, Similarity, WorldReport, align_rig, floor_world, scale_of

# The first round only brings the cameras near; it needs few poses.
_FIRST_POSES = 150
_FIRST_STAGES = 6
_NS_PER_S = 1e9
# So many standard deviations are no accident.
_SURE = 3.0
# More poses than this cost time and say little.
_MOST_POSES = 1600
_LEAST_PERSON_INSTANTS = 10
# From scratch: a median reprojection above this share of the people's extent is no rig.
_WORST_SHARE = 0.05
# The same of a single camera, left out.
_WORST_CAMERA = 0.15
# Two halves of a recording whose clocks differ by more than these are no accident of noise.
_LEAST_JUMP_S = 0.08
_JUMP_SIGMAS = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A rig from people, and what is known about it.

    Attributes:
        rig: in the world that was asked for; its clock offsets are those in the middle of the recording.
        given: the rig before, None from scratch.
        offset_s, sigma_offset_s: (C,) clocks: stamp = time + offset + drift * time; the first camera keeps the offset
            that the rig gave it, and all do where noise explains the differences.
        drift: (C,).
        sigma_rotation_rad, sigma_position_m: (C,) standard deviations, for the world that fits these cameras best.
        sigma_focal: (C,) relative, zero where focal lengths were not estimated.
        shared: (C, C) instants that two cameras share; the diagonal, each with any other.
        people: number of people used; ``poses`` their instants that entered in the end, ``kept`` those that judged.
        before, after: on the instants kept aside, ``after`` before these entered; ``before`` is None from scratch.
        joints: (M, J, 3) m of the poses that entered, in the new world.
        world: how the world was chosen; None where it was kept.
        refusal: why this rig must not be used; '' if it may.
    """

    rig: CameraRig
    given: CameraRig | None
    offset_s: FloatArray
    sigma_offset_s: FloatArray
    drift: FloatArray
    sigma_rotation_rad: FloatArray
    sigma_position_m: FloatArray
    sigma_focal: FloatArray
    shared: FloatArray
    people: int
    poses: int
    kept: int
    before: Judgement | None
    after: Judgement
    joints: FloatArray
    world: WorldReport | None
    refusal: str

    def __repr__(self) -> str:
        verdict = f'refused: {self.refusal}' if self.refusal else f'{self.after.score_px:.1f} px'
        return f'Calibrated({", ".join(self.rig.names)}; {self.people} people, {self.poses} poses; {verdict})'


def calibrate(
    pictures: Mapping[str, Sequence[Keypoints2D]], rig: CameraRig, config: CalibrateConfig | None = None, *,
    from_scratch: bool = False, sync: bool = False, scale: ScaleSource | None = None, keep_world: str = '',
    max_offset_s: float = 5.0,
) -> Calibrated:
    """Refine ``rig``, or find it from scratch, from what its cameras saw of people.

    Args:
        pictures: by camera, its detections in the order received, of any skeleton that maps to body17.
        rig: intrinsics, clock offsets and, unless ``from_scratch``, extrinsics to begin with.
        from_scratch: use no extrinsics.
        sync: look for clock offsets up to ``max_offset_s`` first, and estimate drift.
        scale: where lengths come from; None: from scratch bone-length statistics, else the given rig.
        keep_world: from scratch, the camera whose frame (of the given rig) fixes the world; '' for floor and gravity.

    Returns:
        The rig; ``refusal`` says why it must not be used, if so.

    Raises:
        CalibrationError: if people or motion cannot determine the cameras; says which camera, and what to record.
    """
    config = config or CalibrateConfig()
    if keep_world and keep_world not in rig.names:
        raise CalibrationError(
            f"There is no camera '{keep_world}' to keep the world of; there are: {', '.join(rig.names)}."
        )
    if sync:
        config = replace(config, adjust=replace(config.adjust, clocks=True, drift=True))
    tracklets = tracklets_of(pictures, rig, config)
    check_motion(tracklets, config)
    if from_scratch:
        state = rig_from_scratch(tracklets, rig, config, sync=sync, max_offset_s=max_offset_s)
    else:
        state = RigState.of(rig)
        if sync:
            state = coarse_clocks(tracklets, state, max_offset_s)
    given = None if from_scratch else rig
    state = _round(tracklets, state, config, given)
    people, views, aside = gather(tracklets, state, config)
    shared = shared_instants(views)
    check_overlap(shared, rig.names, config)
    held, fitted = views.select(aside), views.select(~aside)
    fit = _fit(people, fitted, held, state, config, given, choose_clocks=config.adjust.clocks and not sync)
    _check_determined(fit.found, config, shared)
    before = None if given is None else _judged(people, held, RigState.of(given))
    held_now = pose_views_at(people, fit.after, held)
    after = judge(RigState.of(fit.after.rig), held_now)
    refusal = (
        _refusal(before, after, held_now)
        or _clock_refusal(pose_views_at(people, fit.after, views), fit.after, config)
        or _lens_refusal(fit.views, fit.state, fit.found, fit.config)
    )
    if not refusal:
        # Judged and accepted: what was kept aside may help now.
        fit = fit.with_all(pose_views_at(people, fit.state, views), given)
    found, after_state = fit.found, fit.after
    change, world = _world(found, fit.views, after_state.rig, given, rig, scale, keep_world, from_scratch)
    offset_s = after_state.offset_s + [camera.clock.offset_s for camera in rig.cameras]
    in_the_middle_s = offset_s + after_state.drift * np.median(views.time_s)
    return Calibrated(
        _with_offsets(change.rig(after_state.rig), in_the_middle_s), given, offset_s,
        fit.sigma_offset_s, after_state.drift,
        found.sigma_rotation_rad, found.sigma_position_m * change.scale,
        found.sigma[:, LOG_FOCAL] if config.adjust.intrinsics != 'fixed' else np.zeros(len(rig)), shared,
        len(people), len(fit.views), len(held), before, after, change.points(found.xyz), world, refusal,
    )


def tracklets_of(
    pictures: Mapping[str, Sequence[Keypoints2D]], rig: CameraRig, config: CalibrateConfig
) -> dict[str, list[Tracklet]]:
    """Return the tracklets of every camera of the rig, in the time that its known clock offset gives.

    Raises:
        CalibrationError: with fewer than two cameras, or for a camera that sees nobody.
    """
    if len(rig) < 2:
        raise CalibrationError(
            f'The recording has one camera ({rig.names[0]}); cameras are calibrated against each other. Record two '
            'or more together.'
        )
    stamps = [k.stamp_ns for seen in pictures.values() for k in seen]
    if not stamps:
        raise CalibrationError('The recording holds no keypoints; record people, or the cameras\' pictures.')
    tracklets = {
        name: link_detections(
            pictures[name], min(stamps) + rig[name].clock.offset_ns, config.min_confidence
        ) if pictures.get(name) else []
        for name in rig.names
    }
    empty = [name for name, found in tracklets.items() if not found]
    if empty:
        raise CalibrationError(
            f'No person is seen for a few pictures on end by {", ".join(empty)}; let people walk where every camera '
            'sees them, or leave the camera out with --cameras.'
        )
    return tracklets


def check_motion(tracklets: Mapping[str, Sequence[Tracklet]], config: CalibrateConfig) -> None:
    """Raise CalibrationError if a camera saw people stand still only."""
    for name, found in tracklets.items():
        # Who is lost and found again in one place has not moved.
        poses = 1 + sum(different_poses(t, config.pose_change) - 1 for t in found)
        if poses < config.least_poses:
            raise CalibrationError(
                f"Camera '{name}' saw {poses} clearly different poses or places of people, expected "
                f'{config.least_poses} or more: who stands still shows the detector\'s habits, not the cameras. '
                'Record somebody who walks through the volume.'
            )


def check_overlap(shared: FloatArray, names: Sequence[str], config: CalibrateConfig) -> None:
    """Raise CalibrationError unless every camera shares enough instants with others and all hang together.

    Args:
        shared: (C, C), see ``people.shared_instants``.
    """
    for c, name in enumerate(names):
        if shared[c, c] < config.least_shared:
            raise CalibrationError(
                f"Camera '{name}' shares {shared[c, c]:.0f} instants of a person with other cameras, expected "
                f'{config.least_shared} or more. Let people walk where it and another camera see them, or leave it '
                'out with --cameras.'
            )
    groups = connected(shared, config.least_shared)
    if len(groups) > 1:
        listed = '; '.join(', '.join(names[c] for c in group) for group in groups)
        raise CalibrationError(
            f'The cameras fall apart into groups that never see a person together: {listed}. Let people walk from '
            'one group\'s view into the other\'s, or calibrate each alone.'
        )


def connected(shared: FloatArray, least: float) -> list[list[int]]:
    """Return the groups of cameras joined by at least ``least`` shared instants."""
    left, groups = set(range(len(shared))), []
    while left:
        group, todo = [], [min(left)]
        while todo:
            c = todo.pop()
            if c in left:
                left.discard(c)
                group.append(c)
                todo += [d for d in left if shared[c, d] >= least]
        groups.append(sorted(group))
    return groups


def gather(
    tracklets: Mapping[str, Sequence[Tracklet]], state: RigState, config: CalibrateConfig
) -> tuple[list[Person], PoseViews, NDArray[np.bool_]]:
    """Return the people, what the cameras see of them at the instants chosen, and which are kept aside (M,).

    Raises:
        CalibrationError: if no person is seen by two cameras.
    """
    everything = [on_common_clock(t, state, name) for name, found in tracklets.items() for t in found]
    time_s = instants(everything, config.instants)
    people = match_people(tracklets, state, config.same_person_m, time_s)
    views = [view_person(person, state, time_s) for person in people]
    kept = [p for p, v in zip(people, views, strict=True) if len(v) >= min(_LEAST_PERSON_INSTANTS, len(time_s))]
    if not kept:
        raise CalibrationError(
            'No person is seen by two cameras together: either the cameras do not overlap, or the calibration given '
            'is off by more than half a metre. Record people where two cameras see them, or use --from-scratch.'
        )
    if len(kept) * len(time_s) > _MOST_POSES:
        time_s = instants(everything, max(_MOST_POSES // len(kept), 20))
    gathered = view_people(kept, state, time_s)
    return kept, gathered, kept_aside(gathered.time_s, config.kept_aside)


def on_common_clock(tracklet: Tracklet, state: RigState, name: str) -> Tracklet:
    """Return the tracklet with its times on the first camera's clock."""
    c = state.rig.names.index(name)
    return replace(tracklet, time_s=(tracklet.time_s - state.offset_s[c]) / (1.0 + state.drift[c]))


def pose_views_at(people: Sequence[Person], state: RigState, like: PoseViews) -> PoseViews:
    """Return the poses of ``like`` sampled anew under the clocks of ``state``."""
    parts = []
    for number, person in enumerate(people):
        time_s = like.time_s[like.person == number]
        if len(time_s):
            parts.append(view_person(person, state, time_s))
    return PoseViews.joined(parts)


def _round(
    tracklets: Mapping[str, Sequence[Tracklet]], state: RigState, config: CalibrateConfig, given: CameraRig | None
) -> RigState:
    """Return the state after a first adjustment to few instants.

    Raises:
        CalibrationError: if cameras do not see the same people.
    """
    _, views, _ = gather(tracklets, state, config)
    check_overlap(shared_instants(views), state.rig.names, config)
    found = adjust(_few(views), RigState.of(state.rig), config.adjust, given=given, stages=_FIRST_STAGES)
    return _with_clocks(state, _near(state.rig, found))


def _few(views: PoseViews) -> PoseViews:
    """Return at most as many poses as bring the cameras near, evenly chosen."""
    few = np.linspace(0, len(views) - 1, min(len(views), _FIRST_POSES)).round().astype(int)
    return views.select(np.isin(np.arange(len(views)), few))


def _near(rig: CameraRig, found: Adjustment) -> RigState:
    """Return the state found, in the world nearest to ``rig``'s: nothing else holds it where it was."""
    change = align_rig(found.state.rig, rig, _lever_m(rig, found.xyz))
    return RigState(change.rig(found.state.rig), found.state.offset_s, found.state.drift)


def _lever_m(rig: CameraRig, xyz: FloatArray) -> float:
    """Return the median distance (m) between cameras and people."""
    middle = np.nanmedian(xyz.reshape(-1, 3), axis=0)
    return float(np.median([np.linalg.norm(camera.position_m - middle) for camera in rig.cameras]))


def _with_clocks(sampled: RigState, found: RigState) -> RigState:
    """Return the state found from views sampled under the clocks of ``sampled``."""
    return RigState(found.rig, sampled.offset_s + found.offset_s, sampled.drift + found.drift)


def _with_offsets(rig: CameraRig, offset_s: FloatArray) -> CameraRig:
    cameras = zip(rig.cameras, offset_s.tolist(), strict=True)
    return replace(rig, cameras=tuple(replace(camera, clock=ClockModel(offset)) for camera, offset in cameras))


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """An adjustment, and what it was made of.

    Attributes:
        config: its settings, clocks estimated or not.
        state: the clocks under which ``views`` were sampled, and the rig to begin with.
        views: the poses that entered.
        found: what came of it.
        sigma_offset_s: (C,) how well the clocks' offsets are known, 0 where they were not asked for.
    """

    config: CalibrateConfig
    state: RigState
    views: PoseViews
    found: Adjustment
    sigma_offset_s: FloatArray

    @property
    def after(self) -> RigState:
        """The state found."""
        return _with_clocks(self.state, self.found.state)

    def with_all(self, views: PoseViews, given: CameraRig | None) -> _Fit:
        """Return the fit to more poses, of which this one is the beginning."""
        found = adjust(views, self.found.state, self.config.adjust, given=given, stages=_FIRST_STAGES)
        return replace(self, views=views, found=found)


def _fit(
    people: Sequence[Person], views: PoseViews, held: PoseViews, state: RigState, config: CalibrateConfig,
    given: CameraRig | None, choose_clocks: bool,
) -> _Fit:
    """Return the fit to ``views``; with ``choose_clocks`` clock offsets only where they are more than noise.

    Offsets that noise explains, or that do not help at the instants ``held``, only make the rest less sure.
    """
    found = adjust(views, RigState.of(state.rig), config.adjust, given=given)
    sigma_offset_s = found.sigma[:, OFFSET] if config.adjust.clocks else np.zeros(len(state.rig))
    free = _Fit(config, state, views, found, sigma_offset_s)
    if not choose_clocks:
        return free
    config = replace(config, adjust=replace(config.adjust, clocks=False))
    state = RigState.of(state.rig)
    views = pose_views_at(people, state, views)
    found = adjust(views, RigState.of(found.state.rig), config.adjust, given=given)
    still = _Fit(config, state, views, found, sigma_offset_s)
    helps = _judged(people, held, free.after).score_px < _judged(people, held, still.after).score_px
    return free if _clocks_differ(free) and helps else still


def _judged(people: Sequence[Person], held: PoseViews, state: RigState) -> Judgement:
    """Return how well ``state`` explains the instants ``held``."""
    return judge(RigState.of(state.rig), pose_views_at(people, state, held))


def _clocks_differ(fit: _Fit) -> bool:
    """Return whether a clock offset is more than noise."""
    return bool((np.abs(fit.after.offset_s[1:]) > _SURE * fit.sigma_offset_s[1:]).any())


def _check_determined(found: Adjustment, config: CalibrateConfig, shared: FloatArray) -> None:
    """Raise CalibrationError if what people did leaves a camera too uncertain."""
    rig = found.state.rig
    lever_m = _lever_m(rig, found.xyz)
    for c, name in enumerate(rig.names):
        turn, shift = found.sigma_rotation_rad[c], found.sigma_position_m[c] / lever_m
        if turn <= config.most_sigma_rad and shift <= config.most_sigma:
            continue
        best = int(np.argmax(np.where(np.arange(len(rig)) == c, -1.0, shared[c])))
        centred = found.xyz.reshape(-1, 3) - np.nanmedian(found.xyz.reshape(-1, 3), axis=0)
        spread = np.nanstd(centred @ np.linalg.svd(np.nan_to_num(centred), full_matrices=False)[2].T, axis=0)
        flat = ' All joints lie near one plane;' if spread[2] < 0.1 * spread[1] else ''
        raise CalibrationError(
            f"Camera '{name}' is not determined: its rotation is known to {np.degrees(turn):.2f} degrees and its "
            f'position to {shift * lever_m * 1e3:.0f} mm, expected {np.degrees(config.most_sigma_rad):.2f} degrees and '
            f'{config.most_sigma * lever_m * 1e3:.0f} mm.{flat} It hangs on {rig.names[best]} by '
            f'{shared[c, best]:.0f} instants. Let people walk through more of what it sees, towards it and across.'
        )


def _world(
    found: Adjustment, views: PoseViews, rig: CameraRig, given: CameraRig | None, asked: CameraRig,
    scale: ScaleSource | None, keep_world: str, from_scratch: bool,
) -> tuple[Similarity, WorldReport | None]:
    """Return how to get into the world that was asked for, and what was assumed for it."""
    if given is not None and scale is None:
        return align_rig(rig, given, _lever_m(rig, found.xyz)), None
    factor, said = scale_of(found.xyz, views.person, rig, scale or ScaleSource())
    if given is not None:
        kept = align_rig(rig, given, _lever_m(rig, found.xyz))
        return Similarity(factor, kept.R, kept.t / kept.scale * factor), WorldReport(said, 'the given rig', 0.0, 0.0)
    if from_scratch and keep_world:
        anchor = asked[keep_world]
        here = rig[keep_world]
        R = anchor.cam_from_world[:, :3].T @ here.cam_from_world[:, :3]
        t = anchor.position_m - factor * R @ here.position_m
        return Similarity(factor, R, t), WorldReport(said, f"camera '{keep_world}'", 0.0, 0.0)
    scaled = Similarity(factor, np.eye(3), np.zeros(3))
    floor, report = floor_world(scaled.points(found.xyz), views.time_s, views.person, scaled.rig(rig))
    change = Similarity(factor, floor.R, floor.t)
    return change, replace(report, scale=said)


def _refusal(before: Judgement | None, after: Judgement, views: PoseViews) -> str:
    if before is not None and not after.score_px < before.score_px:
        return (
            f'on the instants kept aside the new rig errs by {after.score_px:.2f} px, the one given by '
            f'{before.score_px:.2f} px: people tell nothing that it does not know already, or were not seen well '
            'enough. The rig given is kept.'
        )
    # 75 / weight is the extent over the confidence.
    with np.errstate(divide='ignore'):
        size = np.where(views.weight > 0.0, 75.0 / views.weight, np.nan)
    extent_px = float(np.nanmedian(size))
    for own, (name, errs) in zip(size, after.medians().items(), strict=True):
        used = own[np.isfinite(own)]
        # NaN is not greater.
        if len(used) and errs['left_out_px'] > _WORST_CAMERA * np.median(used):
            return (
                f"on the instants kept aside camera '{name}' errs by {errs['left_out_px']:.0f} px against what the "
                f'others see, all cameras by {after.score_px:.1f} px in the median: it took one person for another, or '
                'its intrinsics or times are wrong. Record one person who walks where it and others look, or leave it '
                'out with --cameras.'
            )
    if not after.score_px < _WORST_SHARE * extent_px:
        return (
            f'on the instants kept aside the rig errs by {after.score_px:.1f} px, {after.score_px / extent_px:.0%} of '
            'the people\'s extent: views, people or times do not fit together. Check that names of cameras and '
            'intrinsics are right; use --sync if the cameras had no common clock, --from-scratch if the rig given is '
            'wrong.'
        )
    return ''


def _clock_refusal(views: PoseViews, state: RigState, config: CalibrateConfig) -> str:
    """Return whose clock jumps: the two halves of the recording, adjusted apart, ask for offsets that differ clearly.

    Args:
        views: all of the recording, sampled under the clocks found.
        state: the cameras found.
        config: see CalibrateConfig.
    """
    adjusting = replace(config.adjust, intrinsics='fixed', clocks=True, drift=False)
    early = views.time_s <= np.median(views.time_s)
    halves = []
    for half in (early, ~early):
        if not half.any():
            return ''
        try:
            halves.append(adjust(
                _few(views.select(half)), RigState.of(state.rig), adjusting, given=state.rig, stages=_FIRST_STAGES
            ))
        except CalibrationError:
            # Nobody is seen by two cameras in one half: there is nothing to compare.
            return ''
    first, second = halves
    jump_s = np.abs(second.state.offset_s - first.state.offset_s)
    doubt_s = np.hypot(first.sigma[:, OFFSET], second.sigma[:, OFFSET])
    worst = int(np.argmax(jump_s))
    if jump_s[worst] <= max(_LEAST_JUMP_S, _JUMP_SIGMAS * doubt_s[worst]):
        return ''
    return (
        f"the clock of camera '{state.rig.names[worst]}' jumps or drifts: the two halves of the recording ask for "
        f'offsets that differ by {1e3 * jump_s[worst]:.0f} ms. Calibrate from the part before or after a jump, or use '
        '--sync for a drift.'
    )


def _lens_refusal(views: PoseViews, state: RigState, found: Adjustment, config: CalibrateConfig) -> str:
    """Return what is wrong with the intrinsics: with free focal lengths one clearly differs from the given."""
    if config.adjust.intrinsics != 'fixed':
        return ''
    keep = np.zeros(len(views), bool)
    keep[:: max(len(views) // 200, 1)] = True
    freed = adjust(
        views.select(keep), found.state, replace(config.adjust, intrinsics='focal', clocks=False, drift=False)
    )
    wrong = []
    for before, after, sigma in zip(state.rig.cameras, freed.state.rig.cameras, freed.sigma[:, LOG_FOCAL], strict=True):
        ratio = after.intrinsics.K[0, 0] / before.intrinsics.K[0, 0]
        if abs(np.log(ratio)) > max(config.focal_doubt, 4.0 * float(sigma)):
            wrong.append(
                f"'{before.name}' (given {before.intrinsics.K[0, 0]:.0f} px, seen {after.intrinsics.K[0, 0]:.0f} px)"
            )
    if not wrong:
        return ''
    return (
        f'the focal length of {", ".join(wrong)} is wrong. Give the intrinsics of the size that was filmed, or let '
        'them be estimated with --intrinsics focal; cameras without a common clock, which look alike, need --sync.'
    )
