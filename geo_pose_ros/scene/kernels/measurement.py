# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a set's people have of their tracks, and which detections are nobody's, compiled.

B people, T tracks, J joints, D detections, C cameras; NaN is unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...compiled import Bool1D, Float1D, Float2D, Float3D, Int1D, Int2D, kernel

# A view with this confidence in a joint shows it; a body each joint of which so many views show needs one lifted pose,
# and one more for each view less.
_SHOWN, _WELL_SHOWN = 0.5, 4


class TrackedBodies(NamedTuple):
    """What is known of B people before a set is measured.

    Attributes:
        position: (B, J, 3) m, predicted, NaN = unknown.
        velocity: (B, J, 3) m/s, 0 where unknown.
        centre: (B, 3) m, the mean of all joints, NaN if one is unknown.
        centre_variance: (B,) m^2, inf where unknown.
    """

    position: Float3D
    velocity: Float3D
    centre: Float2D
    centre_variance: Float1D


@kernel()
def gather_tracks(
    tracks: Int1D, position: Float3D, velocity: Float3D, centre_variance: Float1D, bodies: TrackedBodies
) -> None:
    """Fill what the tracks know of the people who continue ``tracks`` (B,), -1 for a new person.

    Args:
        tracks: see above.
        position, velocity: (T, J, 3) m and m/s of the tracks.
        centre_variance: (T,) m^2.
        bodies: filled.
    """
    joints = bodies.position.shape[1]
    for b in range(len(tracks)):
        t = tracks[b]
        bodies.centre_variance[b] = centre_variance[t] if t >= 0 else np.inf
        for k in range(3):
            total = 0.0
            for j in range(joints):
                at = position[t, j, k] if t >= 0 else np.nan
                speed = velocity[t, j, k] if t >= 0 else 0.0
                bodies.position[b, j, k] = at
                bodies.velocity[b, j, k] = speed if np.isfinite(speed) else 0.0
                total += at
            bodies.centre[b, k] = total / joints


@kernel('known', 'free')
def find_free(views: Int2D, nearest: Float1D, least_m: float, known: Bool1D, free: Bool1D) -> int:
    """Write which bodies have a detection and which detections may be of somebody new; return how many may.

    Args:
        views: (T, C) the detection of each body in each camera, -1 for none.
        nearest: (D,) m from each detection to the nearest body.
        least_m: a detection that is nearer is a duplicate of somebody known.
        known: (T,) written.
        free: (D,) written.
    """
    count = 0
    for d in range(len(free)):
        free[d] = nearest[d] > least_m
    for t in range(views.shape[0]):
        known[t] = False
        for c in range(views.shape[1]):
            if views[t, c] >= 0:
                known[t], free[views[t, c]] = True, False
    for d in range(len(free)):
        count += free[d]
    return count


@kernel('chosen')
def choose_views(confidence: Float3D, sparing: bool, chosen: Int2D) -> None:
    """Write the cameras (V, B) whose views of each body are lifted, those that show most of it; -1 for none.

    Args:
        confidence: (C, B, J) of the keypoints, 0 where not seen.
        sparing: lift fewer of bodies that many views show: what a lifted pose adds is little.
        chosen: written; V <= C views of a body at most.
    """
    cameras, bodies, joints = confidence.shape
    total = np.empty(cameras)
    for b in range(bodies):
        total[:], least = 0.0, cameras
        for j in range(joints):
            showing = 0
            for c in range(cameras):
                total[c] += confidence[c, b, j]
                showing += confidence[c, b, j] >= _SHOWN
            least = min(least, showing)
        wanted = max(1 + _WELL_SHOWN - least, 1) if sparing else cameras
        for v in range(len(chosen)):
            best = total.argmax()
            chosen[v, b] = best if v < wanted and total[best] > 0.0 else -1
            total[best] = -1.0
