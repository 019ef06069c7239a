# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How good bodies are where nobody knows the truth: reprojection, left-out cameras, bone lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray, IntArray
from ..errors import ShapeError
from ..geometry.projection import project_world
from ..geometry.stats import nan_mean
from ..scene.settings import PipelineConfig
from ..skeleton import Skeleton
from ..types import Bodies3D, CameraRig, Keypoints2D
from .bodies import BodyTracks, bone_lengths, mean_and_variation
from .views import confident, median_distances


@dataclass(frozen=True, slots=True, eq=False)
class ObservedSet:
    """The 2D keypoints of one instant, by camera, and the bodies found from them."""

    stamp_ns: int
    keypoints: Mapping[str, Keypoints2D]
    bodies: Bodies3D


def measured(bodies: Bodies3D) -> Bodies3D:
    """Return the bodies with a view at this instant, without those that are only predicted."""
    return bodies.select(np.asarray(bodies.num_views.any(1)))


def distances_to_keypoints(projected: FloatArray, found: Keypoints2D, min_confidence: float) -> FloatArray:
    """Return the px (n,) between projected joints and the keypoints of the person that each body fits best.

    Args:
        projected: (P, J, 2) raw px, NaN = unknown.
        found: people of the same J joints.
        min_confidence: keypoints below are left out.

    Raises:
        ShapeError: if the joints differ.
    """
    if projected.ndim != 3 or projected.shape[1:] != (len(found.skeleton), 2):
        raise ShapeError(
            f'distances_to_keypoints: received {projected.shape}, expected (P, {len(found.skeleton)}, 2).'
        )
    _, distance = _best_fits(projected, found, min_confidence)
    return distance[np.isfinite(distance)]


def _best_fits(projected: FloatArray, found: Keypoints2D, min_confidence: float) -> tuple[IntArray, FloatArray]:
    """Return for each body the person (P,) of ``found`` that it fits best, and the px (P, J) between them, or NaN."""
    if not len(projected) or not len(found.xy):
        return np.zeros(0, np.int64), np.zeros((0, projected.shape[1]))
    people = confident(found, min_confidence)
    best = np.asarray(median_distances(projected[None], people[None])[0].argmin(1), np.int64)
    return best, np.asarray(np.linalg.norm(projected - people[best], axis=-1))


def leave_one_out_px(
    rig: CameraRig, observations: Sequence[ObservedSet], config: PipelineConfig
) -> dict[str, FloatArray]:
    """Return per camera the px (n,) between its keypoints and the bodies fused from all other cameras."""
    errors = {}
    for name in rig.names:
        found = _left_out(rig, observations, config, name)
        distance = np.concatenate([np.zeros(0), *(values.ravel() for _, _, values in found)])
        errors[name] = distance[np.isfinite(distance)]
    return errors


def leave_one_out_compared(
    rig: CameraRig, observations: Sequence[ObservedSet], first: PipelineConfig, second: PipelineConfig
) -> tuple[FloatArray, FloatArray]:
    """Return ``leave_one_out_px`` (n,), (n,) of two configurations on the keypoints that both predict, all cameras.

    A configuration that leaves out uncertain joints looks better than it is beside one that does not.
    """
    pairs: list[FloatArray] = [np.zeros((0, 2))]
    for name in rig.names:
        tables = []
        for config in (first, second):
            table: dict[tuple[int, int], FloatArray] = {}
            for stamp_ns, people, distance in _left_out(rig, observations, config, name):
                for person, values in zip(people.tolist(), distance, strict=True):
                    key = stamp_ns, person
                    # Of two bodies on one person the better one counts, as does a person's only one.
                    table[key] = np.fmin(table[key], values) if key in table else values
            tables.append(table)
        for key in tables[0].keys() & tables[1].keys():
            both = np.stack([table[key] for table in tables], 1)
            pairs.append(both[np.isfinite(both).all(1)])
    compared = np.concatenate(pairs)
    return compared[:, 0], compared[:, 1]


def _left_out(
    rig: CameraRig, observations: Sequence[ObservedSet], config: PipelineConfig, name: str
) -> Iterator[tuple[int, IntArray, FloatArray]]:
    """Yield stamp, and persons (P,) and px (P, J) as ``_best_fits`` of camera ``name``, predicted by the others."""
    # The viewer needs distances alone, and nothing of the pipeline.
    from ..pipeline import PosePipeline

    others = tuple(other for other in rig.names if other != name)
    with PosePipeline(rig.subset(others), config) as pipeline:
        for seen in observations:
            rest = {other: k for other, k in seen.keypoints.items() if other != name}
            bodies = measured(pipeline.fuse(seen.stamp_ns, rest).bodies)
            if name in seen.keypoints:
                projected = project_world(rig[name], bodies.xyz)
                found = seen.keypoints[name].as_output(pipeline.skeleton)
                fits = _best_fits(projected, found, config.detector.min_confidence)
                yield seen.stamp_ns, *fits


def bone_length_cv(skeleton: Skeleton, bodies: Iterable[Bodies3D]) -> dict[str, float]:
    """Return per bone the coefficient of variation (standard deviation / mean) of its length over time.

    Bodies that are only predicted are left out. Each body_id counts for itself; a bone's value is the mean over the
    bodies seen in at least two instants, NaN if there is none.
    """
    tracks = BodyTracks.of([measured(instant) for instant in bodies], skeleton)
    _, variation = mean_and_variation(bone_lengths(skeleton, tracks.xyz))
    return dict(zip(skeleton.bones, nan_mean(variation, 0).tolist(), strict=True))
