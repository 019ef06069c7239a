# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How well a rig explains people at instants that did not enter it, and every reason to refuse it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components

from ..arrays import FloatArray
from ..findings import Finding, Severity
from ..geometry.projection import project_world
from ..geometry.stats import nan_percentile
from ..types import CameraRig, Intrinsics
from .bundle.residuals import LOG_FOCAL, OFFSET
from .bundle.solver import Adjustment
from .clocks import clock_offsets_s
from .halves import Growth, Halves, wrong_focal_lengths
from .people.tracklets import Tracklet, different_poses
from .people.views import PoseViews, at_clocks, triangulate_views
from .settings import CalibrateConfig
from .task import RefusalError
from .world import lever_m

# Pauses longer than this are no time in which people are seen, s.
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Distances in px of the keypoints that P people's views left, by camera.

    Attributes:
        left_out_px: (n,) to the joints that all other cameras give; empty with two cameras.
        reprojection_px: (n,) to the joints that all cameras give.
        where: (n, 2) px, the keypoints of ``reprojection_px``; ``offset_px`` (n, 2) from them to the joints.
    """

    left_out_px: Mapping[str, FloatArray]
    reprojection_px: Mapping[str, FloatArray]
    where: Mapping[str, FloatArray]
    offset_px: Mapping[str, FloatArray]

    @property
    def score_px(self) -> float:
        """The median over all keypoints of the left-out distance, or with two cameras of the reprojection."""
        chosen = self.left_out_px if any(len(v) for v in self.left_out_px.values()) else self.reprojection_px
        return nan_percentile(np.concatenate([np.zeros(0), *chosen.values()]), 50)

    def medians(self) -> dict[str, dict[str, float]]:
        """Return camera -> median left-out and reprojection distance, px; NaN where there is none."""
        return {
            name: {
                'left_out_px': nan_percentile(self.left_out_px.get(name, np.zeros(0)), 50),
                'reprojection_px': nan_percentile(self.reprojection_px[name], 50),
            }
            for name in self.reprojection_px
        }


def judge(rig: CameraRig, views: PoseViews) -> Judgement:
    """Return how far the keypoints of ``views`` (sampled without the clocks of ``rig``) lie from the joints."""
    seen = at_clocks(rig, views)
    left_out, reprojection, where, offset = {}, {}, {}, {}

    def differences(c: int, joints: FloatArray) -> tuple[FloatArray, FloatArray]:
        difference = project_world(rig.cameras[c], joints) - seen[c]
        known = (views.weight[c] > 0.0) & np.isfinite(difference).all(-1)
        return seen[c][known], difference[known]

    everything = triangulate_views(rig, views)
    for c, name in enumerate(rig.names):
        where[name], offset[name] = differences(c, everything)
        reprojection[name] = np.linalg.norm(offset[name], axis=-1)
        if len(rig) > 2:
            left_out[name] = np.linalg.norm(differences(c, triangulate_views(rig, views.without(c)))[1], axis=-1)
    return Judgement(left_out, reprojection, where, offset)


def check_motion(tracklets: Mapping[str, Sequence[Tracklet]], config: CalibrateConfig) -> None:
    """Raise CalibrationError if a camera saw people stand still only."""
    for name, found in tracklets.items():
        # Who is lost and found again in one place has not moved.
        poses = 1 + sum(different_poses(t, config.pose_change) - 1 for t in found)
        if poses < config.least_poses:
            raise RefusalError(
                f"Camera '{name}' saw {poses} clearly different poses or positions of people, expected "
                f'{config.least_poses} or more: who stands still shows the detector\'s habits, not the cameras.',
                'Record somebody who walks through the volume.',
            )


def check_overlap(shared: FloatArray, names: Sequence[str], config: CalibrateConfig) -> None:
    """Raise CalibrationError unless every camera shares enough instants with others and all hang together.

    Args:
        shared: (C, C), see ``views.shared_instants``.
    """
    for c, name in enumerate(names):
        if shared[c, c] < config.least_shared:
            raise RefusalError(
                f"Camera '{name}' shares {shared[c, c]:.0f} instants of a person with other cameras, expected "
                f'{config.least_shared} or more.',
                'Let people walk where it and another camera see them, or leave it out with --cameras.',
            )
    groups, group = connected_components(shared >= config.least_shared, directed=False)
    if groups > 1:
        listed = '; '.join(', '.join(names[c] for c in np.flatnonzero(group == g).tolist()) for g in range(groups))
        raise RefusalError(
            f'The cameras fall apart into groups that never see a person together: {listed}.',
            'Let people walk from one group\'s view into the other\'s, or calibrate each alone.',
        )


def seen_for_s(time_s: FloatArray) -> float:
    """Return for how long people were seen, s, at times (M,) s: without pauses, however few instants were drawn."""
    steps_s = np.diff(np.unique(time_s))
    return float(steps_s[steps_s < max(_PAUSE_S, 2.0 * np.median(steps_s))].sum()) if len(steps_s) else 0.0


def motion_refusal(xyz: FloatArray, views: PoseViews, rig: CameraRig, config: CalibrateConfig) -> Finding | None:
    """Return what people did too little of: time, way, or part of a camera's image.

    Args:
        xyz: (M, J, 3) m, the joints of the poses.
        views: these poses as the cameras see them.
        rig: the cameras.
        config: see CalibrateConfig.
    """
    seen_s = seen_for_s(views.time_s)
    hips = xyz[:, 0][np.isfinite(xyz[:, 0]).all(-1)]
    axes = np.linalg.svd(hips - hips.mean(0), full_matrices=False)[2] if len(hips) else np.eye(3)
    way_m = max((nan_percentile(along, 98) - nan_percentile(along, 2) for along in (hips @ axes.T).T), default=0.0)
    lacking = [
        f'{found:.1f} {unit} {what}, expected {least:g} or more'
        for found, unit, least, what in (
            (seen_s, 's', config.least_seen_s, 'of people seen by two cameras'),
            (way_m, 'm', config.least_way_m, 'between the places where they were'),
        ) if not found >= least
    ]
    for c, camera in enumerate(rig.cameras):
        xy = views.xy[c][views.weight[c] > 0.0]
        sides = [nan_percentile(along, 98) - nan_percentile(along, 2) for along in xy.T]
        share = float(np.prod(sides)) / (camera.intrinsics.width * camera.intrinsics.height)
        if not share >= config.least_cover:
            lacking.append(
                f"{share:.0%} of the image of camera '{camera.name}' with people in it, expected "
                f'{config.least_cover:.0%} or more'
            )
    if not lacking:
        return None
    return _refused(
        f'the footage cannot determine the cameras: {"; ".join(lacking)}.',
        'Record one person, or a few, who walk for half a minute through all that the cameras share, towards them and '
        'across; the rig there is stays.',
    )


def check_determined(found: Adjustment, config: CalibrateConfig, shared: FloatArray, growth: Growth) -> None:
    """Raise CalibrationError if what people did leaves a camera too uncertain; ``growth`` is of the deviations."""
    rig = found.rig
    distance_m = lever_m(rig, found.xyz)
    for c, name in enumerate(rig.names):
        turn = growth.pose[c] * found.sigma_rotation_rad[c]
        position = growth.pose[c] * found.sigma_position_m[c] / distance_m
        if turn <= config.most_sigma_rad and position <= config.most_sigma:
            continue
        best = int(np.argmax(np.where(np.arange(len(rig)) == c, -1.0, shared[c])))
        centred = found.xyz.reshape(-1, 3) - np.nanmedian(found.xyz.reshape(-1, 3), axis=0)
        spread = np.nanstd(centred @ np.linalg.svd(np.nan_to_num(centred), full_matrices=False)[2].T, axis=0)
        flat = ' All joints lie near one plane;' if spread[2] < 0.1 * spread[1] else ''
        raise RefusalError(
            f"Camera '{name}' is not determined: its rotation is known to {np.degrees(turn):.2f} degrees and its "
            f'position to {position * distance_m * 1e3:.0f} mm, expected {np.degrees(config.most_sigma_rad):.2f} '
            f'degrees and {config.most_sigma * distance_m * 1e3:.0f} mm.{flat} It hangs on {rig.names[best]} by '
            f'{shared[c, best]:.0f} instants.',
            'Let people walk through more of what it sees, towards it and across.',
        )


def rig_refusal(
    before: Judgement | None, after: Judgement, views: PoseViews, config: CalibrateConfig
) -> Finding | None:
    """Return why a rig must not be used that was judged by ``views``, which did not enter it."""
    if before is not None and not after.score_px < (1.0 - config.least_gain) * before.score_px:
        return _refused(
            f'on the instants kept aside the new rig errs by {after.score_px:.2f} px, the one given by '
            f'{before.score_px:.2f} px: people tell nothing that it does not know already, or were not seen well '
            'enough.', 'The rig given is kept.',
        )
    extent_px = views.extent_px
    for own, (name, errors) in zip(extent_px, after.medians().items(), strict=True):
        # NaN is not greater.
        if np.isfinite(own).any() and errors['left_out_px'] > config.most_camera_error * np.nanmedian(own):
            return _refused(
                f"on the instants kept aside camera '{name}' errs by {errors['left_out_px']:.0f} px against what the "
                f'others see, all cameras by {after.score_px:.1f} px in the median: it took one person for another, or '
                'its intrinsics or times are wrong.',
                'Record one person who walks where it and others look, or leave it out with --cameras.',
            )
    share = after.score_px / float(np.nanmedian(extent_px))
    if not share < config.most_error:
        return _refused(
            f'on the instants kept aside the rig errs by {after.score_px:.1f} px, {share:.0%} of the people\'s extent: '
            'views, people or times do not fit together.',
            'Check that names of cameras and intrinsics are right; use --sync if the cameras had no common clock, '
            '--from-scratch if the rig given is wrong.',
        )
    return None


def agreement_refusal(
    halves: Halves | None, before: Sequence[Judgement], config: CalibrateConfig
) -> Finding | None:
    """Return why the halves of a recording do not confirm each other: cameras from one are worse at the other.

    Args:
        halves: of the recording; None: it has only one.
        before: how well the rig given explains each half; none from scratch.
        config: see CalibrateConfig.
    """
    if halves is None:
        return _refused(
            'two cameras see people together in one half of the recording only: nothing confirms the result.',
            'Record half a minute of people who walk where the cameras overlap.',
        )
    for number, given in enumerate(before):
        found_px = judge(halves.fits[1 - number].rig, halves.views[number]).score_px
        if not found_px < given.score_px:
            return _refused(
                f'cameras from one half of the recording err by {found_px:.2f} px in the other one, the rig given by '
                f'{given.score_px:.2f} px: what the halves say of the cameras does not last.',
                'Record a longer walk through more of what the cameras see; the rig given is kept.',
            )
    return clock_refusal(halves, config)


def clock_refusal(halves: Halves, config: CalibrateConfig) -> Finding | None:
    """Return whose clock jumps: the halves of the recording ask for offsets that differ clearly."""
    first, second = halves.fits
    jump_s = np.abs(clock_offsets_s(second.rig) - clock_offsets_s(first.rig))
    sigma_s = np.hypot(first.sigma[:, OFFSET], second.sigma[:, OFFSET])
    worst = int(np.argmax(jump_s))
    if jump_s[worst] <= max(config.clock_jump_s, config.clock_jump_sigmas * sigma_s[worst]):
        return None
    return _refused(
        f"the clock of camera '{first.rig.names[worst]}' jumps or drifts: the two halves of the recording ask for "
        f'offsets that differ by {1e3 * jump_s[worst]:.0f} ms.',
        'Calibrate from the part before or after a jump, or use --sync for a drift.',
    )


def is_measured(intrinsics: Intrinsics) -> bool:
    """Return whether somebody calibrated the lens: a guess has no distortion, and its middle in the image's."""
    middle = 0.5 * np.array((intrinsics.width - 1, intrinsics.height - 1))
    return bool(np.any(intrinsics.D) or (np.abs(intrinsics.K[:2, 2] - middle) > 0.6).any())


def lens_refusal(
    halves: Halves | None, found: Adjustment, growth: Growth, config: CalibrateConfig
) -> Finding | None:
    """Return what is wrong with focal lengths: given ones that both halves contradict, or free ones left uncertain."""
    rig = found.rig
    if config.adjust.intrinsics != 'fixed':
        sigma = growth.focal * found.sigma[:, LOG_FOCAL]
        worst = int(np.argmax(sigma))
        if sigma[worst] <= config.most_sigma_focal:
            return None
        return _refused(
            f"the footage does not determine the focal length of camera '{rig.names[worst]}': it is known to "
            f'{sigma[worst]:.1%}, expected {config.most_sigma_focal:.1%} or better.',
            'Record people who walk towards the cameras and away from them, near and far; or keep the focal lengths '
            'that were given: --intrinsics fixed.',
        )
    wrong = {} if halves is None else wrong_focal_lengths(halves, found, config.adjust, config.focal_error)
    if not wrong:
        return None
    named = ', '.join(f"'{name}' (given {given:.0f} px, seen {seen:.0f} px)" for name, (given, seen) in wrong.items())
    free = '' if any(is_measured(rig[name].intrinsics) for name in wrong) else (
        ', or let them be estimated with --intrinsics focal'
    )
    return _refused(
        f'the focal length of {named} is wrong.',
        f'Give the intrinsics of the size that was filmed (another size, a crop, a zoom?){free}; cameras without a '
        'common clock, which look alike, need --sync.',
    )


def size_refusal(ratios: FloatArray, config: CalibrateConfig) -> Finding | None:
    """Return who became larger or smaller, although no length is given; ``ratios`` (P,) are after over before."""
    change = np.abs(np.nan_to_num(ratios, nan=1.0) - 1.0)
    if not len(change) or change.max() <= config.most_size_change:
        return None
    who = int(np.argmax(change))
    return _refused(
        f'person {who + 1} would be {ratios[who] - 1.0:+.1%} in size, expected at most '
        f'{config.most_size_change:.0%} without a length given: the cameras found contradict the lengths of those '
        'given.', 'Say which are right: --stature M, or --distance CAMERA CAMERA M.',
    )


def _refused(what: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, what, remedy)
