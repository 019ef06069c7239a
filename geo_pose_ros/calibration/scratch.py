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

from ..arrays import FloatArray
from ..errors import CalibrationError
from ..geometry.projection import normalize
from ..geometry.triangulation import triangulate_dlt
from ..types import Camera, CameraRig
from .bundle.solver import adjust
from .clocks import chain_lags, scratch_cost
from .epipolar import PairGeometry, essential_of, finite_pairs, pair_geometry, sampson
from .judge import judge
from .people import match_people
from .settings import CalibrateConfig
from .tracklets import Tracklet, extent_px, instants, sample
from .views import Person, PoseViews, RigState, triangulate_views, view_people, view_person
from .world import align_rig, usual_size

_PAIR_INSTANTS = 200
_STEP_INSTANTS = 80
# The adjustment between two cameras only has to come near.
_STAGES = 4
# A keypoint fits if it is nearer than this share of the person's extent.
_BOUND = 0.025
_LEAST_SUPPORT = 0.35
_GOOD_PARALLAX_RAD = 0.5
_LEAST_PARALLAX_RAD = 0.08
_STARTS = 4
_LONGEST = 6
_LEAST_RESECTION = 60
# A camera this many times as far off as most.
_ASTRAY = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A tracklet at common instants: xn (T, J, 2) normalised, extent its median size there."""

    tracklet: Tracklet
    xn: FloatArray
    extent: float


def rig_from_scratch(
    tracklets: Mapping[str, Sequence[Tracklet]], rig: CameraRig, config: CalibrateConfig, *, sync: bool,
    max_offset_s: float,
) -> RigState:
    """Return cameras and clocks found from people alone; of ``rig`` only the intrinsics are used.

    Lengths are roughly metres (bone-length statistics); the world is the first pair's.

    Raises:
        CalibrationError: if no two cameras agree, or one cannot be joined to the others.
    """
    blank = CameraRig(tuple(replace(c, cam_from_world=np.eye(3, 4)) for c in rig.cameras), 'world')
    state = RigState.of(blank)
    if sync:
        state = _synchronised(tracklets, state, max_offset_s)
    time_s = instants([_shifted(t, state, name) for name, found in tracklets.items() for t in found], _PAIR_INSTANTS)
    seen = {name: _seen(found, state, name, time_s) for name, found in tracklets.items()}
    pairs = _pairs(seen, rig.names)
    best: tuple[float, RigState] | None = None
    failures: list[str] = []
    for _score, a, b, found in pairs[:_STARTS]:
        try:
            grown, error = _grow(tracklets, seen, time_s, state, a, b, found, config)
        except CalibrationError as problem:
            failures.append(str(problem))
            continue
        if best is None or error < best[0]:
            best = error, grown
        # A start that explains every camera well needs no rival.
        if error < 0.5 * _BOUND:
            break
    if best is None:
        raise CalibrationError(failures[0])
    return best[1]


def _shifted(tracklet: Tracklet, state: RigState, name: str) -> Tracklet:
    c = state.rig.names.index(name)
    return replace(tracklet, time_s=(tracklet.time_s - state.offset_s[c]) / (1.0 + state.drift[c]))


def _synchronised(
    tracklets: Mapping[str, Sequence[Tracklet]], state: RigState, max_offset_s: float
) -> RigState:
    names = state.rig.names
    bounds = {name: _bound(tracklets[name], state.rig[name]) for name in names}
    offset_s = chain_lags(
        names, tracklets, max_offset_s, lambda a, b: scratch_cost(state, 0.5 * (bounds[a] + bounds[b]))
    )
    return RigState(state.rig, offset_s, np.zeros(len(names)))


def _bound(tracklets: Sequence[Tracklet], camera: Camera) -> float:
    """Return the normalised distance within which a keypoint fits."""
    size = np.concatenate([extent_px(t.xy) for t in tracklets])
    return _BOUND * float(np.nanmedian(size)) / float(camera.intrinsics.K[0, 0])


def _seen(tracklets: Sequence[Tracklet], state: RigState, name: str, time_s: FloatArray) -> list[_Seen]:
    c = state.rig.names.index(name)
    lens = state.rig.cameras[c].intrinsics
    found = []
    for tracklet in sorted(tracklets, key=len)[-_LONGEST:]:
        xy, _, _ = sample(tracklet, time_s * (1.0 + state.drift[c]) + state.offset_s[c])
        size = extent_px(xy)
        if np.isfinite(size).any():
            found.append(_Seen(tracklet, normalize(lens, xy), float(np.nanmedian(size)) / float(lens.K[0, 0])))
    return found


def _pairs(
    seen: Mapping[str, Sequence[_Seen]], names: Sequence[str]
) -> list[tuple[float, str, str, PairGeometry]]:
    """Return the pairs of cameras that agree, best first: many joints that fit, under a wide angle.

    Raises:
        CalibrationError: if there is none.
    """
    found = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            geometry = _pair(seen[a], seen[b])
            if geometry is not None and geometry.support >= _LEAST_SUPPORT:
                angle = min(geometry.parallax_rad, np.pi - geometry.parallax_rad)
                if angle >= _LEAST_PARALLAX_RAD:
                    wide = min(angle / _GOOD_PARALLAX_RAD, 1.0)
                    found.append((geometry.support**2 * np.sqrt(geometry.points) * wide, a, b, geometry))
    if not found:
        raise CalibrationError(
            'No two cameras see joints that fit one pose of the two: they do not overlap, their intrinsics are wrong, '
            'or they had no common clock (then --sync). Record one person who walks where two cameras see them.'
        )
    return sorted(found, key=lambda item: -item[0])


def _pair(first: Sequence[_Seen], second: Sequence[_Seen]) -> PairGeometry | None:
    """Return the geometry of two cameras over all people that they share, whoever is who."""
    best: PairGeometry | None = None
    for a in first:
        for b in second:
            both = finite_pairs(a.xn, b.xn)
            found = pair_geometry(a.xn[both], b.xn[both], _BOUND * 0.5 * (a.extent + b.extent), 400)
            if found is not None and (best is None or _worth(found) > _worth(best)):
                best = found
    if best is None or best.support < _LEAST_SUPPORT or len(first) * len(second) == 1:
        return best
    x, y, bound = [], [], []
    for a in first:
        for b in second:
            both = finite_pairs(a.xn, b.xn)
            limit = _BOUND * 0.5 * (a.extent + b.extent)
            if both.any() and np.median(sampson(best.E, a.xn[both], b.xn[both])) < limit:
                x.append(a.xn[both])
                y.append(b.xn[both])
                bound.append(limit)
    if not x:
        return best
    pooled = pair_geometry(np.concatenate(x), np.concatenate(y), float(np.median(bound)))
    return pooled if pooled is not None else best


def _worth(geometry: PairGeometry) -> float:
    return geometry.support**2 * float(np.sqrt(geometry.points))


def _grow(
    tracklets: Mapping[str, Sequence[Tracklet]], seen: Mapping[str, Sequence[_Seen]], grid_s: FloatArray,
    state: RigState, a: str, b: str, pair: PairGeometry, config: CalibrateConfig,
) -> tuple[RigState, float]:
    """Return all cameras from a first pair, and their error in extents of the people.

    Args:
        grid_s: (T,) the instants of ``seen``.

    Raises:
        CalibrationError: naming the cameras that cannot be joined.
    """
    names = state.rig.names
    poses = _in_metres(pair.second_from_first, seen, a, b)
    quick = replace(config.adjust, intrinsics='fixed', drift=False)
    error = np.inf
    again: set[str] = set()
    while True:
        part = _part(state, poses)
        own = {name: tracklets[name] for name in part.rig.names}
        time_s = instants([_shifted(t, state, name) for name, found in own.items() for t in found], _STEP_INSTANTS)
        people = match_people(own, part, config.same_person_m, time_s)
        if not people:
            raise CalibrationError(
                f'The cameras {", ".join(poses)} agree about no person; record one person who walks where they overlap.'
            )
        views = view_people(people, part, time_s)
        found = adjust(views, RigState.of(part.rig), quick, stages=_STAGES)
        near = align_rig(found.state.rig, part.rig, 4.0).rig(found.state.rig)
        factor = usual_size(found.xyz[views.person == 0]) if len(poses) == 2 else 1.0
        factor = factor if np.isfinite(factor) else 1.0
        poses = {
            camera.name: np.column_stack([camera.cam_from_world[:, :3], factor * camera.cam_from_world[:, 3]])
            for camera in near.cameras
        }
        state = _with_offsets(state, part, found.state)
        # 75 px per weight is the extent.
        error = float(found.sigma_px / 75.0)
        left = [name for name in names if name not in poses]
        if not left:
            astray = _astray(RigState.of(found.state.rig), views)
            if not astray or astray in again:
                return _part(state, poses, names), error
            # Joined by another person than it saw, when few cameras were known; now the others say who was where.
            again.add(astray)
            del poses[astray]
            continue
        part = _part(state, poses)
        joined = _next_camera(left, seen, _joints(people, part, grid_s))
        if joined is None:
            raise CalibrationError(
                f'The cameras {", ".join(left)} cannot be joined to {", ".join(poses)}: too few joints that both saw '
                'at the same time fit one pose. Record people who walk from one camera\'s view into the other\'s.'
            )
        poses[joined[0]] = joined[1]


def _astray(state: RigState, views: PoseViews) -> str:
    """Return the camera that is much farther off from what the others see than these are; '' if none is."""
    errors = {name: errs['left_out_px'] for name, errs in judge(state, views).medians().items()}
    known = [error for error in errors.values() if np.isfinite(error)]
    if len(known) < 3:
        return ''
    worst = max(errors, key=lambda name: np.nan_to_num(errors[name]))
    return worst if errors[worst] > _ASTRAY * np.median(known) else ''


def _in_metres(
    second_from_first: FloatArray, seen: Mapping[str, Sequence[_Seen]], a: str, b: str
) -> dict[str, FloatArray]:
    """Return the first pair's poses (3, 4) with a baseline that gives people usual bones."""
    E, cams = essential_of(second_from_first), np.stack([np.eye(3, 4), second_from_first])
    factors: list[float] = []
    for first in seen[a]:
        for second in seen[b]:
            both = finite_pairs(first.xn, second.xn)
            limit = _BOUND * 0.5 * (first.extent + second.extent)
            if both.sum() < _LEAST_RESECTION or np.median(sampson(E, first.xn[both], second.xn[both])) > limit:
                continue
            xn = np.stack([first.xn, second.xn]).reshape(2, -1, 2)
            weight = np.broadcast_to(both.ravel().astype(float), (2, both.size))
            factors.append(usual_size(triangulate_dlt(cams, xn, weight).reshape(*both.shape, 3)))
    known = [factor for factor in factors if np.isfinite(factor)]
    factor = float(np.median(known)) if known else 1.0
    return {name: np.column_stack([p[:, :3], factor * p[:, 3]]) for name, p in zip((a, b), cams, strict=True)}


def _part(state: RigState, poses: Mapping[str, FloatArray], order: Sequence[str] = ()) -> RigState:
    """Return the state of the cameras that have a pose."""
    names = [name for name in (order or state.rig.names) if name in poses]
    index = [state.rig.names.index(name) for name in names]
    cameras = tuple(replace(state.rig[name], cam_from_world=poses[name]) for name in names)
    return RigState(CameraRig(cameras, state.rig.world_frame_id), state.offset_s[index], state.drift[index])


def _with_offsets(state: RigState, part: RigState, found: RigState) -> RigState:
    """Return ``state`` with the clocks that a part of its cameras was found to have, on the part's common shift."""
    offset_s = state.offset_s.copy()
    for c, name in enumerate(part.rig.names):
        offset_s[state.rig.names.index(name)] += found.offset_s[c]
    return RigState(state.rig, offset_s, state.drift)


def _joints(people: Sequence[Person], part: RigState, time_s: FloatArray) -> list[FloatArray]:
    """Return every person's joints (T, J, 3) m at instants (T,), NaN where two cameras do not see them."""
    joints = []
    for person in people:
        views = view_person(person, part, time_s)
        xyz = np.full((len(time_s), views.xy.shape[2], 3), np.nan)
        if len(views):
            xyz[np.searchsorted(time_s, views.time_s)] = triangulate_views(RigState.of(part.rig), views)
        joints.append(xyz)
    return joints


def _next_camera(
    left: Sequence[str], seen: Mapping[str, Sequence[_Seen]], joints: Sequence[FloatArray]
) -> tuple[str, FloatArray] | None:
    """Return the camera that most joints place, and its pose; None if none is placed by enough."""
    best: tuple[int, str, FloatArray] | None = None
    for name in left:
        for view in seen[name]:
            for xyz in joints:
                both = np.isfinite(xyz).all(-1) & np.isfinite(view.xn).all(-1)
                if both.sum() < _LEAST_RESECTION:
                    continue
                found = _resect(xyz[both], view.xn[both], _BOUND * view.extent * 2.0)
                if found is not None and (best is None or found[0] > best[0]):
                    best = found[0], name, found[1]
    return None if best is None else (best[1], best[2])


def _resect(xyz: FloatArray, xn: FloatArray, bound: float) -> tuple[int, FloatArray] | None:
    """Return how many joints (N, 3) fit the best pose of a camera that saw them at (N, 2), and the pose (3, 4)."""
    cv2.setRNGSeed(0)
    ok, turn, shift, inliers = cv2.solvePnPRansac(
        xyz[:, None], xn[:, None], np.eye(3), None, iterationsCount=300, reprojectionError=bound, confidence=0.999,
        flags=cv2.SOLVEPNP_EPNP,
    )
    if not ok or inliers is None or len(inliers) < max(_LEAST_RESECTION // 2, _LEAST_SUPPORT * len(xyz)):
        return None
    R, _ = cv2.Rodrigues(turn)
    return len(inliers), np.column_stack([R, shift.ravel()])
