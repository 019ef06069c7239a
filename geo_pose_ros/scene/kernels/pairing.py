# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies that two cameras see, compiled: whether other pairs of their detections fit clearly better, over time.

C cameras, T bodies, D detections. ``measurement.exchange_pairs`` has the rules.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...compiled import Bool1D, Float1D, Float2D, Float3D, Int1D, Int2D, helper, kernel
from ...fusion.kernels.association import best_columns
from ...fusion.kernels.distances import closest_points, origin_of, ray_through
from ...fusion.kernels.views import DetectionArrays

# A pair fits by 1 where all rays meet, by a half where they pass each other by this, m.
_HALF_M = 0.05
# A pair of detections with fewer joints in common says nothing.
_LEAST_JOINTS = 5
# Pairs that fit less are none; one that is there counts so much more; others may fit better by so much by chance; and
# where what they fit better beyond that is so much over time, s, they replace it.
_LEAST_FIT, _STAYS, _NO_GAIN, _EXCHANGED_S = 0.15, 0.05, 0.02, 0.04
# A set says no more than at 30 Hz, however far apart they are: one alone never exchanges.
_MOST_S = 0.03
# A lone view takes a partner that nobody else needs if they fit better than this by as much.
_LONE_FIT = 0.5
# A pair that fits by less than these parts of what is usual in the rig is refused: where a body has held one of the
# views so many times as long as the other; and where it gains that view, or the pair would begin a body.
_REFUSED, _NOT_NEW = 0.4, 0.6
_HELD_RATIO = 2.0
# Share of that time that a set without the view leaves.
_HELD_KEPT = 0.8
# What is usual before pairs were seen, as so many of them; and share of what was seen that a pair leaves.
_USUAL, _USUAL_PAIRS, _USUAL_KEPT = 0.7, 3.0, 0.99
# Detections of a camera that are compared, which bounds the time.
_MOST = 64


class PairMemory(NamedTuple):
    """What is remembered of the views of T bodies.

    Attributes:
        held: (T, C) for how many sets each has had its view in each camera.
        gain: (T,) s, the sum over time of by how much other pairs of detections have fitted better.
        usual: (2,) the sum of how well the rig's pairs have fitted, and of how many.
        changed: (T,) the bodies that have other views since this set.
    """

    held: Float2D
    gain: Float1D
    usual: Float1D
    changed: Bool1D


class Pairs(NamedTuple):
    """The best pairs of the detections of two cameras.

    Attributes:
        first, second: the cameras.
        owner: (D,) the body of each detection, -1 for none.
        partner: (D,) the best partner in the other camera, -1 for none.
        fit: (D,) in [0, 1], how well it fits its partner.
        own: (T,) in [0, 1], how well a body's two views fit each other, NaN where it has others.
    """

    first: int
    second: int
    owner: Int1D
    partner: Int1D
    fit: Float1D
    own: Float1D


@kernel('views', 'nearest')
def exchange_views(
    poses: Float3D, detections: DetectionArrays, memory: PairMemory, dt_s: float, views: Int2D, nearest: Float1D
) -> None:
    """Exchange the views of bodies that two cameras see where other pairs have fitted better for long enough.

    Args:
        poses: (C, 3, 4) cam_from_world.
        detections: D detections.
        memory: of the T bodies, changed.
        dt_s: since the last set.
        views: (T, C) the detection of each body in each camera, -1 for none; changed.
        nearest: (D,) m from each detection to the nearest body; inf of detections that were exchanged.
    """
    bodies, cameras = views.shape
    owner, counts = np.full(len(detections.camera), -1), np.zeros(bodies, np.int64)
    for b in range(bodies):
        memory.changed[b] = False
        for c in range(cameras):
            if views[b, c] >= 0:
                owner[views[b, c]], counts[b] = b, counts[b] + 1
    for b in range(bodies):
        if counts[b] == 2:
            lost = _refuse(poses, detections, memory, b, views[b])
            if lost >= 0:
                owner[lost], counts[b], nearest[lost] = -1, 1, np.inf
    any_changed, counted = False, np.zeros(bodies, np.bool_)
    for c in range(cameras):
        for d in range(c + 1, cameras):
            if any_changed:
                # Others follow in the next set.
                break
            left, right = _candidates(views, counts, owner, detections, c, d)
            most = max(len(left), len(right))
            if most > _MOST or len(left) * len(right) == 0 or (most < 2 and owner[left[0]] == owner[right[0]]):
                continue
            pairs = Pairs(c, d, owner, np.full(len(owner), -1), np.zeros(len(owner)), np.full(bodies, np.nan))
            if not _find_pairs(poses, detections, views, left, right, pairs):
                continue
            for b in range(bodies):
                if pairs.own[b] >= 0.0 and not counted[b]:
                    counted[b] = True
                    more = min(dt_s, _MOST_S) * (_advantage(pairs, views, b) - _NO_GAIN)
                    memory.gain[b] = max(memory.gain[b] + more, 0.0)
            for b in range(bodies):
                if pairs.own[b] >= 0.0 and memory.gain[b] > _EXCHANGED_S:
                    _exchange(pairs, memory, b, views, nearest)
                    any_changed = True
    for b in range(bodies):
        for c in range(cameras):
            memory.held[b, c] = memory.held[b, c] + 1.0 if views[b, c] >= 0 else _HELD_KEPT * memory.held[b, c]


@kernel('usual', 'kept')
def judge_new(poses: Float3D, detections: DetectionArrays, usual: Float1D, views: Int2D, kept: Bool1D) -> None:
    """Write which of G new bodies are kept: those of two ``views`` (G, C) only if they fit each other as is usual."""
    for g in range(len(views)):
        both = np.flatnonzero(views[g] >= 0)
        fit = _fit(poses, detections, views[g, both[0]], views[g, both[1]]) if len(both) == 2 else -1.0
        kept[g] = fit < 0.0 or fit >= _NOT_NEW * _usual_fit(usual, fit)


@helper
def _usual_fit(usual: Float1D, fit: float) -> float:
    """Return how well the pairs of a rig usually fit, ``fit`` of a pair counted if it can be judged (>= 0)."""
    if fit >= 0.0:
        usual[0], usual[1] = _USUAL_KEPT * usual[0] + fit, _USUAL_KEPT * usual[1] + 1.0
    return float((usual[0] + _USUAL_PAIRS * _USUAL) / (usual[1] + _USUAL_PAIRS))


@helper
def _refuse(poses: Float3D, detections: DetectionArrays, memory: PairMemory, body: int, views: Int1D) -> int:
    """Take from a body whose two views are no pair the one that it has held much less long; return it, or -1."""
    both, held = np.flatnonzero(views >= 0), memory.held[body]
    first, second = both[0], both[1]
    fit = _fit(poses, detections, views[first], views[second])
    usual = _usual_fit(memory.usual, fit)
    if held[first] > held[second]:
        first, second = second, first
    least = _REFUSED if held[first] >= 1.0 else _NOT_NEW
    if not 0.0 <= fit < least * usual or _HELD_RATIO * held[first] > held[second]:
        return -1
    lost: int = views[first]
    views[first], held[first] = -1, 0.0
    return lost


@helper
def _candidates(
    views: Int2D, counts: Int1D, owner: Int1D, detections: DetectionArrays, c: int, d: int
) -> tuple[Int1D, Int1D]:
    """Return the detections of cameras c and d that are nobody's, or of bodies that no other camera sees."""
    found = np.empty((2, len(owner)), np.int64)
    number = np.zeros(2, np.int64)
    for side in range(2):
        camera = d if side else c
        for i in range(detections.starts[camera], detections.starts[camera + 1]):
            b = owner[i]
            if b < 0 or counts[b] == int(views[b, c] >= 0) + int(views[b, d] >= 0):
                found[side, number[side]] = i
                number[side] += 1
    return found[0, : number[0]], found[1, : number[1]]


@helper
def _find_pairs(
    poses: Float3D, detections: DetectionArrays, views: Int2D, left: Int1D, right: Int1D, pairs: Pairs
) -> bool:
    """Fill the best pairs of the detections ``left`` and ``right``; return whether they are of any body."""
    any_body = False
    for i in np.concatenate((left, right)):
        if pairs.owner[i] >= 0:
            pairs.own[pairs.owner[i]], any_body = _LONE_FIT, True
    if not any_body:
        return False
    fit, gain = np.empty((len(left), len(right))), np.zeros((len(left), len(right)))
    for i in range(len(left)):
        for j in range(len(right)):
            fit[i, j] = _fit(poses, detections, left[i], right[j])
            gain[i, j] = max(fit[i, j] - _LEAST_FIT, 0.0)
            b = pairs.owner[left[i]]
            if b >= 0 and b == pairs.owner[right[j]]:
                # A pair that cannot be judged stays.
                pairs.own[b] = fit[i, j]
                gain[i, j] += _STAYS if fit[i, j] >= 0.0 else 1.0
    chosen = best_columns(gain)
    for i in range(len(left)):
        if chosen[i] >= 0:
            j = right[chosen[i]]
            pairs.partner[left[i]], pairs.partner[j] = j, left[i]
            pairs.fit[left[i]] = pairs.fit[j] = fit[i, chosen[i]]
    return True


@helper
def _fit(poses: Float3D, detections: DetectionArrays, first: int, second: int) -> float:
    """Return in [0, 1] how nearly the rays of two detections meet; -1 with too few common joints.

    The mean over the joints of Geman and McClure's weight, 1 - d^2 / (d^2 + h^2), by the joints' confidence.
    """
    one, other = poses[detections.camera[first]], poses[detections.camera[second]]
    a, b, u, v = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    origin_of(one, a)
    origin_of(other, b)
    total, weights, count = 0.0, 0.0, 0
    for j in range(detections.xn.shape[1]):
        if detections.seen[first, j] and detections.seen[second, j]:
            ray_through(one, detections.xn[first, j, 0], detections.xn[first, j, 1], u)
            ray_through(other, detections.xn[second, j, 0], detections.xn[second, j, 1], v)
            distance, s, t = closest_points(a, u, b, v)
            weight = (detections.confidence[first, j] * detections.confidence[second, j]) ** 2
            if s > 0.0 and t > 0.0:
                total += weight / (1.0 + (distance / _HALF_M) ** 2)
            weights, count = weights + weight, count + 1
    return total / weights if count >= _LEAST_JOINTS else -1.0


@helper
def _advantage(pairs: Pairs, views: Int2D, b: int) -> float:
    """Return by how much the best pairs of a body's views fit better than they do together."""
    i, j = views[b, pairs.first], views[b, pairs.second]
    if i >= 0 and j >= 0 and pairs.partner[i] == j:
        return 0.0
    total, count = 0.0, 0
    for view in (i, j):
        if view >= 0 and pairs.partner[view] >= 0:
            other = pairs.owner[pairs.partner[view]]
            if min(i, j) < 0 and other >= 0 and min(views[other, pairs.first], views[other, pairs.second]) >= 0:
                # Who has a pair decides about it.
                return 0.0
            total, count = total + pairs.fit[view], count + 1
    if min(i, j) < 0 and not count:
        return 0.0
    best = total / count if count else _LEAST_FIT
    return float(max(best - pairs.own[b], 0.0))


@helper
def _exchange(pairs: Pairs, memory: PairMemory, body: int, views: Int2D, nearest: Float1D) -> None:
    """Give the best pairs to the body and to all who have a part in them; who has held a view longest has its pair.

    A view that is in no pair counts as one: who has held it longest goes on with it alone.
    """
    bodies, cameras = len(views), (pairs.first, pairs.second)
    within, grows = np.zeros(bodies, np.bool_), True
    within[body] = True
    while grows:
        grows = False
        for b in range(bodies):
            for c in cameras:
                if within[b] and views[b, c] >= 0 and pairs.partner[views[b, c]] >= 0:
                    other = pairs.owner[pairs.partner[views[b, c]]]
                    if other >= 0 and not within[other]:
                        within[other] = grows = True
    rows = np.flatnonzero(within)
    score = np.zeros((len(rows), 2 * len(rows)))
    ends, count = np.empty((2 * len(rows) + 1, 2), np.int64), 0
    for i in range(len(pairs.partner)):
        j = pairs.partner[i]
        if 0 <= j < i:
            continue
        ends[count, 0], ends[count, 1] = i, j
        is_theirs = False
        for r in range(len(rows)):
            held = memory.held[rows[r]]
            for side in range(2):
                view, camera = views[rows[r], cameras[side]], cameras[side]
                if view < 0 or view not in (i, j):
                    continue
                if j < 0 and held[camera] < held[cameras[1 - side]]:
                    # Of two views that part, the younger one alone is nobody.
                    continue
                score[r, count] += 1.0 + held[camera]
                is_theirs = True
                if j < 0:
                    ends[count, side], ends[count, 1 - side] = i, -1
        count += is_theirs
    chosen = best_columns(np.ascontiguousarray(score[:, :count]))
    for r in range(len(rows)):
        _give(pairs, memory, rows[r], ends[chosen[r]] if chosen[r] >= 0 else np.full(2, -1), views, nearest)


@helper
def _give(pairs: Pairs, memory: PairMemory, b: int, pair: Int1D, views: Int2D, nearest: Float1D) -> None:
    """Give a body the two detections ``pair`` (2,), -1 for none."""
    memory.gain[b] = 0.0
    for side in range(2):
        camera = pairs.second if side else pairs.first
        before, now = views[b, camera], pair[side]
        if before >= 0:
            nearest[before] = np.inf
        if now != before:
            views[b, camera], memory.held[b, camera], memory.changed[b] = now, 0.0, True
