# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From what cameras saw of people to a rig that is judged: the steps of `geo_pose calibrate`, without files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import FloatArray
from ..findings import Finding
from ..types import CameraRig, Keypoints2D
from . import verdict
from .bundle.residuals import LOG_FOCAL, OFFSET
from .bundle.solver import Adjustment, adjust
from .clocks import clock_drifts, clock_offsets_s, coarse_clocks, synchronous, with_clocks, with_clocks_beyond
from .halves import Growth, deviation_growth, fit_halves, is_early
from .people.matching import Sightings, sight_people
from .people.tracklets import Tracklet, link_detections
from .people.views import PoseViews, shared_instants
from .scratch.growth import rig_from_scratch
from .settings import AdjustConfig, CalibrateConfig
from .sizes import PersonSize, hold_sizes, people_sizes, size_ratios
from .task import CalibrateTask, RefusalError
from .verdict import Judgement, judge
from .world import Similarity, WorldReport, align_rig, choose_world, lever_m

# The first adjustment only brings the cameras near; it needs few poses and stages.
_FIRST_POSES = 150
_FIRST_STAGES = 6
# So many standard deviations are no accident.
_SURE = 3.0
# People's size is held to this part of the change that would be refused: not all of them change alike.
_HELD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A rig from people, and what is known about it.

    Attributes:
        rig: in the world that was asked for; its clock offsets are those in the middle of the recording.
        given: the rig before, None from scratch.
        offset_s, sigma_offset_s: (C,) clocks: stamp = time + offset + drift * time; the first camera keeps the offset
            that the rig gave it, and all do where noise explains the differences.
        drift: (C,).
        sigma_rotation_rad, sigma_position_m: (C,) standard deviations, for the world that fits these cameras best;
            grown until the two halves of the recording agree within theirs.
        sigma_focal: (C,) relative, zero where focal lengths were not estimated.
        shared: (C, C) instants that two cameras share; the diagonal, each with any other.
        people: number of people used; ``poses`` their instants that entered in the end, ``kept`` those that judged.
        before, after: on the instants kept aside, ``after`` before these entered; ``before`` is None from scratch.
        joints: (M, J, 3) m of the poses that entered, in the new world.
        world: how the world was chosen; None where it was kept.
        sizes: how large the people are, by how long they were seen; ``sizes_before`` under the rig given, none from
            scratch.
        refusal: why this rig must not be used; None if it may.
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
    sizes: Sequence[PersonSize]
    sizes_before: Sequence[PersonSize]
    refusal: Finding | None

    def __repr__(self) -> str:
        said = f'refused: {self.refusal.in_words}' if self.refusal else f'{self.after.score_px:.1f} px'
        return f'Calibrated({", ".join(self.rig.names)}; {self.people} people, {self.poses} poses; {said})'


def calibrate(
    keypoints: Mapping[str, Sequence[Keypoints2D]], rig: CameraRig, task: CalibrateTask | None = None
) -> Calibrated:
    """Refine ``rig``, or find it from scratch, from what its cameras saw of people; see Calibrated.refusal.

    Args:
        keypoints: by camera, its detections in the order received, of any skeleton that maps to body17.
        rig: intrinsics, clock offsets and, unless from scratch, extrinsics to begin with.
        task: what is asked; None: refine.

    Raises:
        CalibrationError: if people or motion cannot determine the cameras; says which camera, and what to record.
    """
    task = task or CalibrateTask()
    task.check(rig.names)
    config, given = task.settings, None if task.from_scratch else rig

    # 1. Link each camera's detections over time.
    tracklets = tracklets_of(keypoints, rig, config)
    verdict.check_motion(tracklets, config)

    # 2. Find cameras and clocks to begin with, and bring them near with few poses.
    start = rig_from_scratch(tracklets, rig, task) if task.from_scratch else synchronous(rig)
    if task.sync and not task.from_scratch:
        start = coarse_clocks(tracklets, start, task.max_offset_s)
    start = _near_rig(sight_people(tracklets, start, config), start, config, given)

    # 3. Tell people apart, and keep a part of the recording aside.
    sightings = sight_people(tracklets, start, config)
    shared = shared_instants(sightings.views(start))
    verdict.check_overlap(shared, rig.names, config)

    # 4. Adjust all to the other part.
    fit = _fit(sightings, start, config, given, choose_clocks=config.adjust.clocks and not task.sync)

    # 5. Judge the rig by the part kept aside, and by two halves that must agree.
    verdict_of = _judge(sightings, fit, config, given, shared)

    # 6. Where it is accepted, what was kept aside may help now.
    if verdict_of.refusal is None:
        fit = _with_all(fit, sightings, given)

    # 7. Move it into the world that was asked for, in which people keep their size unless a length is given.
    found = fit.found
    change, world, sizes_before, sizes = _in_world(sightings, fit, rig, task)
    refusal = verdict_of.refusal
    if sizes_before and task.scale is None:
        refusal = refusal or verdict.size_refusal(size_ratios(sizes_before, sizes), config)
    offset_s, drift = clock_offsets_s(fit.rig) + clock_offsets_s(rig), clock_drifts(fit.rig)
    in_the_middle_s, growth = offset_s + drift * np.median(sightings.time_s), verdict_of.growth
    # Floor and gravity made the world, or it is the given one.
    in_world = replace(change.rig(fit.rig), floor=rig.floor or not (given or task.keep_world))
    return Calibrated(
        with_clocks(in_world, in_the_middle_s), given, offset_s, fit.sigma_offset_s, drift,
        growth.pose * found.sigma_rotation_rad, growth.pose * found.sigma_position_m * change.scale,
        growth.focal * found.sigma[:, LOG_FOCAL], shared, len(sightings.people), len(fit.views),
        int(sightings.is_kept.sum()), verdict_of.before, verdict_of.after, change.points(found.xyz), world, sizes,
        sizes_before, refusal,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Verdict:
    """What instants that did not enter say: of the rig before (None from scratch) and after, and of the deviations."""

    before: Judgement | None
    after: Judgement
    growth: Growth
    refusal: Finding | None


def _judge(
    sightings: Sightings, fit: _Fit, config: CalibrateConfig, given: CameraRig | None, shared: FloatArray
) -> _Verdict:
    """Return the verdict on ``fit``.

    Raises:
        CalibrationError: if what people did leaves a camera too uncertain.
    """
    views = sightings.views(fit.rig)
    halves = fit_halves(views, fit.rig, fit.config, given)
    growth = deviation_growth(halves, len(fit.rig))
    refusal = verdict.motion_refusal(fit.found.xyz, fit.views, fit.rig, config)
    if refusal is None:
        verdict.check_determined(fit.found, config, shared, growth)
    before, before_halves = None, list[Judgement]()
    if given is not None:
        before, old = _judge_kept(sightings, synchronous(given)), sightings.views(synchronous(given))
        early = is_early(old, views)
        before_halves = [judge(synchronous(given), old.select(half)) for half in (early, ~early) if half.any()]
    after = _judge_kept(sightings, fit.rig)
    refusal = (
        refusal
        or verdict.rig_refusal(before, after, sightings.views(fit.rig, sightings.is_kept), config)
        or verdict.agreement_refusal(halves, before_halves, config)
        or verdict.lens_refusal(halves, fit.found, growth, config)
    )
    return _Verdict(before, after, growth, refusal)


def _in_world(
    sightings: Sightings, fit: _Fit, rig: CameraRig, task: CalibrateTask
) -> tuple[Similarity, WorldReport | None, list[PersonSize], list[PersonSize]]:
    """Return how to get into the world asked for, what was assumed, and people's sizes under the rig given and there.

    Without a length given, people keep the size that they have under ``rig``; from scratch they had none.
    """
    people, views = len(sightings.people), sightings.views(fit.rig)
    change, world = choose_world(fit.found.xyz, fit.views, fit.rig, rig, task, fit.found.covariance)
    before = list[PersonSize]()
    if not task.from_scratch:
        before = people_sizes(rig, sightings.views(synchronous(rig)), people)
        if task.scale is None:
            sizes = people_sizes(change.rig(fit.rig), views, people)
            change, world = hold_sizes(before, sizes, change, fit.found.xyz, _HELD * task.config.most_size_change)
    return change, world, before, people_sizes(change.rig(fit.rig), views, people)


def tracklets_of(
    keypoints: Mapping[str, Sequence[Keypoints2D]], rig: CameraRig, config: CalibrateConfig
) -> dict[str, list[Tracklet]]:
    """Return the tracklets of every camera of the rig, in the time that its known clock offset gives.

    Raises:
        CalibrationError: with fewer than two cameras, or for a camera that sees nobody.
    """
    if len(rig) < 2:
        raise RefusalError(
            f'The recording has one camera ({rig.names[0]}); cameras are calibrated against each other.',
            'Record two or more together.',
        )
    stamps = [k.stamp_ns for seen in keypoints.values() for k in seen]
    if not stamps:
        raise RefusalError('The recording holds no keypoints', 'Record people, or the cameras\' images.')
    tracklets = {
        name: link_detections(keypoints[name], min(stamps) + rig[name].clock.offset_ns, config)
        if keypoints.get(name) else []
        for name in rig.names
    }
    empty = [name for name, found in tracklets.items() if not found]
    if empty:
        raise RefusalError(
            f'No person is seen for a few images on end by {", ".join(empty)}',
            'Let people walk where every camera sees them, or leave the camera out with --cameras.',
        )
    return tracklets


def _near_rig(
    sightings: Sightings, start: CameraRig, config: CalibrateConfig, given: CameraRig | None
) -> CameraRig:
    """Return the rig after a first adjustment to few poses.

    Raises:
        CalibrationError: if cameras do not see the same people.
    """
    views = sightings.views(start)
    verdict.check_overlap(shared_instants(views), start.names, config)
    found = adjust(views.thinned(_FIRST_POSES), synchronous(start), config.adjust, given=given, stages=_FIRST_STAGES)
    # Nothing else holds the world where it was.
    change = align_rig(found.rig, start, lever_m(start, found.xyz))
    return with_clocks_beyond(change.rig(found.rig), start)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """An adjustment, and what it was made of.

    Attributes:
        config: its settings, clocks estimated or not.
        start: the clocks under which ``views`` were sampled.
        views: the poses that entered.
        found: what came of it.
        sigma_offset_s: (C,) how well the clocks' offsets are known, 0 where they were not asked for.
    """

    config: AdjustConfig
    start: CameraRig
    views: PoseViews
    found: Adjustment
    sigma_offset_s: FloatArray

    @property
    def rig(self) -> CameraRig:
        """The rig found, with its clocks."""
        return with_clocks_beyond(self.found.rig, self.start)


def _fit(
    sightings: Sightings, start: CameraRig, config: CalibrateConfig, given: CameraRig | None, choose_clocks: bool
) -> _Fit:
    """Return the fit to what is not kept aside; with ``choose_clocks`` clock offsets only where they are not noise.

    Offsets that noise explains, or that do not help at the instants kept aside, only make the rest less sure.
    """
    views = sightings.views(start, ~sightings.is_kept)
    found = adjust(views, synchronous(start), config.adjust, given=given)
    free = _Fit(config.adjust, start, views, found, found.sigma[:, OFFSET])
    if not choose_clocks:
        return free
    start = synchronous(start)
    views = sightings.views(start, ~sightings.is_kept)
    without_clocks = replace(config.adjust, clocks=False)
    found = adjust(views, synchronous(found.rig), without_clocks, given=given)
    still = replace(free, config=without_clocks, start=start, views=views, found=found)
    is_clear = (np.abs(clock_offsets_s(free.rig)[1:]) > _SURE * free.sigma_offset_s[1:]).any()
    helps = _judge_kept(sightings, free.rig).score_px < _judge_kept(sightings, still.rig).score_px
    return free if is_clear and helps else still


def _with_all(fit: _Fit, sightings: Sightings, given: CameraRig | None) -> _Fit:
    """Return the fit to the whole recording, which begins where ``fit`` ended."""
    views = sightings.views(fit.start)
    return replace(fit, views=views, found=adjust(views, fit.found.rig, fit.config, given=given, stages=_FIRST_STAGES))


def _judge_kept(sightings: Sightings, rig: CameraRig) -> Judgement:
    """Return how well ``rig`` explains the instants kept aside."""
    return judge(synchronous(rig), sightings.views(rig, sightings.is_kept))
