# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A first rig without extrinsics: two cameras, then one after the other (incremental structure from motion).

Correspondences are the joints of one person at one instant, so that nothing is matched by looks. The pair of cameras
that agrees best begins (essential matrix by RANSAC over people's joints); lengths come from the bones; every further
camera is resected from the joints that are known already (EPnP by RANSAC, Lepetit et al., IJCV 2009), and after each
all are adjusted together. Who is who across cameras is found by trying: only the right person gives many inliers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ...arrays import FloatArray
from ...errors import CalibrationError
from ...types import CameraRig
from ..bundle.solver import adjust
from ..clocks import coarse_clocks, common_instants, synchronous, with_clocks_beyond
from ..people.matching import match_people
from ..people.tracklets import Tracklet
from ..people.views import UNIT_EXTENT_PX, Person, PoseViews, triangulate_views, view_people, view_person
from ..settings import CalibrateConfig
from ..task import CalibrateTask, RefusalError
from ..verdict import judge
from ..world import Similarity, align_rig, usual_size
from .pairs import CameraPair, Track, camera_pairs, inlier_bound, pair_baseline, tracks_of

_PAIR_INSTANTS = 200
_STEP_INSTANTS = 80
# The adjustment between two cameras only has to come near.
_STAGES = 4
_STARTS = 4
_LEAST_RESECTION = 60
_RESECTION_ITERATIONS = 300
# The distance between cameras and people in an alignment, m.
_DISTANCE_M = 4.0
# A camera this many times as far off as most was joined in the wrong place.
_MISPLACED = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class RecordedTracks:
    """What the cameras recorded: by camera, its tracklets and its tracks at the common instants ``time_s`` (T,)."""

    tracklets: Mapping[str, Sequence[Tracklet]]
    tracks: Mapping[str, Sequence[Track]]
    time_s: FloatArray


def rig_from_scratch(
    tracklets: Mapping[str, Sequence[Tracklet]], rig: CameraRig, task: CalibrateTask
) -> CameraRig:
    """Return cameras and clocks found from people alone; of ``rig`` only the intrinsics are used.

    Lengths are roughly metres (bone-length statistics); the world is the first pair's.

    Raises:
        CalibrationError: if no two cameras agree, or one cannot be joined to the others.
    """
    config = task.settings
    rig = synchronous(
        CameraRig(tuple(replace(camera, cam_from_world=np.eye(3, 4)) for camera in rig.cameras), 'world')
    )
    if task.sync:
        bounds = {
            c.name: inlier_bound(np.concatenate([t.xy for t in tracklets[c.name]]), c, config.scratch)
            for c in rig.cameras
        }
        rig = coarse_clocks(tracklets, rig, task.max_offset_s, bounds)
    time_s = common_instants(tracklets, rig, _PAIR_INSTANTS)
    tracks = {c.name: tracks_of(tracklets[c.name], c, time_s, config.scratch) for c in rig.cameras}
    recorded = RecordedTracks(tracklets, tracks, time_s)
    best: tuple[float, CameraRig] | None = None
    failures = []
    for pair in camera_pairs(tracks, config.scratch)[:_STARTS]:
        try:
            grown, error = _grow(recorded, rig, pair, config)
        except CalibrationError as problem:
            failures.append(problem)
            continue
        if best is None or error < best[0]:
            best = error, grown
        # A start that explains every camera well needs no rival.
        if error < 0.5 * config.scratch.inlier_error:
            break
    if best is None:
        raise failures[0]
    return best[1]


def _grow(
    recorded: RecordedTracks, rig: CameraRig, pair: CameraPair, config: CalibrateConfig
) -> tuple[CameraRig, float]:
    """Return all cameras from a first pair, and their error in extents of the people.

    Raises:
        CalibrationError: naming the cameras that cannot be joined.
    """
    joined = {pair.first, pair.second}
    rejoined: set[str] = set()
    second = pair.geometry.second_from_first * (1.0, 1.0, 1.0, pair_baseline(pair, recorded.tracks))
    rig = _with_poses(rig, {pair.first: np.eye(3, 4), pair.second: second})
    while True:
        # 1. Adjust the cameras joined so far; two of them take their scale from the bones.
        known = rig.subset([name for name in rig.names if name in joined])
        time_s = common_instants(recorded.tracklets, known, _STEP_INSTANTS)
        people = match_people(
            {name: recorded.tracklets[name] for name in known.names}, known, config.same_person_m, time_s
        )
        if not people:
            raise RefusalError(
                f'The cameras {", ".join(known.names)} agree about no person',
                'Record one person who walks where they overlap.',
            )
        views = view_people(people, known, time_s)
        quick = replace(config.adjust, intrinsics='fixed', drift=False)
        found = adjust(views, synchronous(known), quick, stages=_STAGES)
        near = align_rig(found.rig, known, _DISTANCE_M).rig(found.rig)
        factor = usual_size(found.xyz[views.person == 0]) if len(known) == 2 else 1.0
        if np.isfinite(factor):
            near = Similarity(factor, np.eye(3), np.zeros(3)).rig(near)
        known = with_clocks_beyond(near, known)
        rig = replace(rig, cameras=tuple(known[c.name] if c.name in joined else c for c in rig.cameras))

        # 2. With all cameras joined, take out one that was joined in the wrong place, when few were known; now the
        #    others say who was where.
        left = [name for name in rig.names if name not in joined]
        if not left:
            misplaced = _misplaced(synchronous(found.rig), views)
            if not misplaced or misplaced in rejoined:
                return rig, found.sigma_px / UNIT_EXTENT_PX
            rejoined.add(misplaced)
            joined.remove(misplaced)
            continue

        # 3. Join the camera that most joints place.
        joints = _joints(people, known, recorded.time_s)
        best = _next_camera({name: recorded.tracks[name] for name in left}, joints, config)
        if best is None:
            raise RefusalError(
                f'The cameras {", ".join(left)} cannot be joined to {", ".join(known.names)}: too few joints that both '
                'saw at the same time fit one pose.',
                'Record people who walk from one camera\'s view into the other\'s.',
            )
        rig = _with_poses(rig, {best[0]: best[1]})
        joined.add(best[0])


def _with_poses(rig: CameraRig, poses: Mapping[str, FloatArray]) -> CameraRig:
    """Return the rig with other poses (3, 4) of some cameras."""
    return replace(
        rig, cameras=tuple(replace(c, cam_from_world=poses.get(c.name, c.cam_from_world)) for c in rig.cameras)
    )


def _misplaced(rig: CameraRig, views: PoseViews) -> str:
    """Return the camera that is much farther off from what the others see than these are; '' if none is."""
    errors = {name: median['left_out_px'] for name, median in judge(rig, views).medians().items()}
    known = [error for error in errors.values() if np.isfinite(error)]
    if len(known) < 3:
        return ''
    worst = max(errors, key=lambda name: np.nan_to_num(errors[name]))
    return worst if errors[worst] > _MISPLACED * np.median(known) else ''


def _joints(people: Sequence[Person], rig: CameraRig, time_s: FloatArray) -> list[FloatArray]:
    """Return every person's joints (T, J, 3) m at instants (T,), NaN where two cameras do not see them."""
    joints = []
    for person in people:
        views = view_person(person, rig, time_s)
        xyz = np.full((len(time_s), views.xy.shape[2], 3), np.nan)
        if len(views):
            xyz[np.searchsorted(time_s, views.time_s)] = triangulate_views(synchronous(rig), views)
        joints.append(xyz)
    return joints


def _next_camera(
    tracks: Mapping[str, Sequence[Track]], joints: Sequence[FloatArray], config: CalibrateConfig
) -> tuple[str, FloatArray] | None:
    """Return the camera that most joints (T, J, 3) place, and its pose (3, 4); None if none is placed by enough."""
    best: tuple[int, str, FloatArray] | None = None
    for name, mine in tracks.items():
        for track in mine:
            for xyz in joints:
                both = np.isfinite(xyz).all(-1) & np.isfinite(track.xn).all(-1)
                if both.sum() < _LEAST_RESECTION:
                    continue
                found = _resect(xyz[both], track.xn[both], 2.0 * track.bound)
                if found is None or found[0] < config.scratch.least_inliers * both.sum():
                    continue
                if best is None or found[0] > best[0]:
                    best = found[0], name, found[1]
    return None if best is None else (best[1], best[2])


def _resect(xyz: FloatArray, xn: FloatArray, bound: float) -> tuple[int, FloatArray] | None:
    """Return how many joints (N, 3) fit the best pose of a camera that saw them at (N, 2), and the pose (3, 4)."""
    cv2.setRNGSeed(0)
    ok, turn, translation, inliers = cv2.solvePnPRansac(
        xyz[:, None], xn[:, None], np.eye(3), None, iterationsCount=_RESECTION_ITERATIONS, reprojectionError=bound,
        confidence=0.999, flags=cv2.SOLVEPNP_EPNP,
    )
    if not ok or inliers is None or len(inliers) < _LEAST_RESECTION // 2:
        return None
    R, _ = cv2.Rodrigues(turn)
    return len(inliers), np.column_stack([R, translation.ravel()])
