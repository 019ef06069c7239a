# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether the reported covariance is true on real footage: disjoint groups of cameras against each other.

    python benchmarks/bodies/groups.py [--networks full heavy thunder] [--scenes SinglePerson MultiPerson]

Nobody measured where the joints of the demos' people are. But two groups of cameras that share no camera err
independently, so their difference has the sum of their covariances: 95 % of the joints must lie inside. Both see the
joints of the same detector; where anatomy's are is another question (docs/fusion.md). Each group is a pipeline of its
own, over the rig refined by all cameras; of one camera the lifter places people, without a floor. A covariance says
nothing of sides: where a detector exchanges left and right, a lone view cannot know. ``sides_aside`` is the share with
arms and legs exchanged where they fit better so. Keypoints are kept in out/bench/, so that a second run fuses only. The
result goes to docs/benchmarks/groups.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.eyes import NETWORKS, SCENES, seen_of
from benchmarks.harness import RESULTS, parser_of, provenance, show, use_one_thread, write_json
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.evaluation.quality import ObservedSet, measured
from geo_pose_ros.fusion.left_right import MIRROR, limbs_of
from geo_pose_ros.geometry.stats import INSIDE_95, distance2
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, CameraRig

# Sets at the beginning, in which a scene learns its people.
BEGIN = 10


def splits(names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield every pair of groups of cameras without a common one, the smaller first."""
    for few in range(1, len(names) // 2 + 1):
        for first in combinations(names, few):
            rest = [name for name in names if name not in first]
            for many in range(few, len(rest) + 1):
                yield from ((first, second) for second in combinations(rest, many) if few < many or first < second)


def bodies_of(rig: CameraRig, observed: Sequence[ObservedSet], names: Sequence[str]) -> list[Bodies3D]:
    """Return what a pipeline of the cameras ``names`` alone finds, set by set."""
    with PosePipeline(rig.subset(tuple(names))) as pipeline:
        return [
            measured(pipeline.fuse(seen.stamp_ns, {n: k for n, k in seen.keypoints.items() if n in names}).bodies)
            for seen in observed
        ]


def differences(first: Sequence[Bodies3D], second: Sequence[Bodies3D]) -> FloatArray:
    """Return (N, 3) of each joint that both groups know: distance, m, and squared Mahalanobis distance.

    The last is that distance with the limbs on the sides that fit better.
    """
    rows, limbs = [np.zeros((0, 3))], limbs_of(BODY17)
    for a, b in list(zip(first, second, strict=True))[BEGIN:]:
        if not len(a) or not len(b):
            continue
        apart = np.linalg.norm(a.xyz[:, None] - b.xyz[None], axis=-1)
        i, j = linear_sum_assignment(np.nan_to_num(np.nanmedian(apart, -1), nan=1e3))
        error, turned = a.xyz[i] - b.xyz[j], a.xyz[i][:, MIRROR] - b.xyz[j]
        off = distance2(error, a.covariance[i] + b.covariance[j])
        mirrored, aside = distance2(turned, a.covariance[i][:, MIRROR] + b.covariance[j]), off.copy()
        for limb in limbs:
            nearer = np.nanmean(np.linalg.norm(turned[:, limb], axis=-1), -1) < np.nanmean(
                np.linalg.norm(error[:, limb], axis=-1), -1
            )
            aside[np.ix_(nearer, limb)] = mirrored[np.ix_(nearer, limb)]
        rows.append(np.stack([np.linalg.norm(error, axis=-1), off, aside], -1)[np.isfinite(off + aside)])
    return np.concatenate(rows)


def measure(rig: CameraRig, observed: Sequence[ObservedSet]) -> dict[str, dict[str, float]]:
    """Return, by the number of views on either side, how far apart the groups are and how many joints are inside."""
    found: dict[str, list[FloatArray]] = {}
    known: dict[tuple[str, ...], list[Bodies3D]] = {}
    for pair in splits(rig.names):
        for names in pair:
            known.setdefault(names, bodies_of(rig, observed, names))
        views = f'{len(pair[0])} and {len(pair[1])}'
        found.setdefault(views, []).append(differences(*(known[names] for names in pair)))
    return {
        views: {
            'splits': len(parts), 'joints': sum(map(len, parts)),
            'mean_mm': round(1e3 * float(np.concatenate(parts)[:, 0].mean()), 1),
            'inside': round(float((np.concatenate(parts)[:, 1] <= INSIDE_95).mean()), 4),
            'sides_aside': round(float((np.concatenate(parts)[:, 2] <= INSIDE_95).mean()), 4),
            'worst_split': round(min(float((part[:, 1] <= INSIDE_95).mean()) for part in parts), 4),
        }
        for views, parts in found.items()
    }


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--networks', nargs='+', choices=tuple(NETWORKS), default=['full', 'heavy', 'thunder'])
    parser.add_argument('--scenes', nargs='+', choices=tuple(SCENES), default=list(SCENES))
    arguments = parser.parse_args()
    result: dict[str, Any] = provenance('python benchmarks/bodies/groups.py')
    for scene in arguments.scenes:
        for network in arguments.networks:
            rig, observed = seen_of(scene, network, 'body17')
            table = measure(rig, observed)
            show(f'{scene}, {network}', table)
            result.setdefault(scene, {})[network] = table
    write_json(RESULTS / 'groups.json', result)


if __name__ == '__main__':
    use_one_thread()
    main()
