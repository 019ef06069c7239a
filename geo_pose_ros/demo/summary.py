# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a recording of pose_node's topics says about its quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..arrays import FloatArray, IntArray
from ..bags.recording import BODIES, DIAGNOSTICS, KEYPOINTS, Recording
from ..errors import BagError
from ..evaluation.quality import ObservedSet, bone_length_cv, leave_one_out_compared, leave_one_out_px, reprojection_px
from ..geometry.stats import nan_percentile
from ..messages.stamps import nearest_indices
from ..pipeline import PosePipeline
from ..scene.settings import PipelineConfig
from ..skeleton import BODY17
from ..types import Bodies3D, CameraRig, Keypoints2D

# What JSON holds.
Json: TypeAlias = Any
# Nothing farther than this is of the same instant.
_NEAR_NS = 60_000_000.0


def read_observations(recording: Path) -> list[ObservedSet]:
    """Return the bodies and keypoints of a recording, in time order; keypoints go to the bodies nearest in time.

    Cameras without a common trigger have stamps of their own, so that those of a set differ from its bodies'.

    Raises:
        BagError: if no bodies or no keypoints were recorded.
    """
    bodies: dict[int, Bodies3D] = {}
    keypoints: list[Keypoints2D] = []
    with Recording([recording]) as recorded:
        for message in recorded.stream([BODIES, KEYPOINTS]):
            if message.source.kind == BODIES:
                found = message.bodies()
                bodies[found.stamp_ns] = found
            else:
                keypoints.append(message.keypoints())
    if not bodies or not keypoints:
        raise BagError(f"Recording '{recording}' holds {len(bodies)} bodies and {len(keypoints)} keypoints messages; "
                       'the node published nothing to judge.')
    stamps_ns = np.array(sorted(bodies))
    sets = in_sets(stamps_ns, keypoints)
    return [ObservedSet(stamp, seen, bodies[stamp]) for stamp, seen in zip(stamps_ns.tolist(), sets, strict=True)]


def in_sets(stamps_ns: IntArray, keypoints: Sequence[Keypoints2D]) -> list[dict[str, Keypoints2D]]:
    """Return for each of the ascending stamps (N,) the keypoints by camera that lie nearest to it.

    Each belongs to one set at most, and to none that is farther than half a period of the sets, or than 60 ms.
    """
    periods_ns = np.diff(stamps_ns)
    reach_ns = min(_NEAR_NS, float(np.median(periods_ns)) / 2.0) if len(periods_ns) else _NEAR_NS
    sets: list[dict[str, Keypoints2D]] = [{} for _ in stamps_ns]
    indices = nearest_indices(stamps_ns, [seen.stamp_ns for seen in keypoints], reach_ns).tolist()
    for seen, at in zip(keypoints, indices, strict=True):
        known = sets[at].get(seen.camera)
        nearer = known is None or abs(int(stamps_ns[at]) - seen.stamp_ns) < abs(int(stamps_ns[at]) - known.stamp_ns)
        if at >= 0 and nearer:
            sets[at][seen.camera] = seen
    return sets


def quality_summary(rig: CameraRig, observations: list[ObservedSet], config: PipelineConfig) -> dict[str, Json]:
    """Return reprojection, leave-one-out and bone-length figures as JSON-ready numbers (px, ratios).

    ``triangulation_alone`` has them for the same keypoints without lifter, bones and filter; left-out cameras there on
    the joints that both predict, ours beside it.
    """
    reprojection = reprojection_px(rig, observations, config.detector.min_confidence)
    left_out = leave_one_out_px(rig, observations, config)
    variation = bone_length_cv(BODY17, [seen.bodies for seen in observations])
    return {
        'reprojection_px': {
            'median': _percentile(_all(reprojection), 50),
            'p95': _percentile(_all(reprojection), 95),
            'per_camera': {name: _percentile(values, 50) for name, values in reprojection.items()},
        },
        'leave_one_out_px': _percentile(_all(left_out), 50),
        'bone_length_cv': {
            'median': _percentile(np.array(list(variation.values())), 50, 4),
            'per_bone': {name: round(value, 4) for name, value in variation.items()},
        },
        'triangulation_alone': _triangulation_alone(rig, observations, config),
    }


def _triangulation_alone(rig: CameraRig, observations: list[ObservedSet], config: PipelineConfig) -> dict[str, Json]:
    alone = replace(
        config, lifter=replace(config.lifter, enabled=False), tracking=replace(config.tracking, enabled=False)
    )
    with PosePipeline(rig, alone) as pipeline:
        bodies = [pipeline.fuse(seen.stamp_ns, seen.keypoints).bodies for seen in observations]
    ours, theirs = leave_one_out_compared(rig, observations, config, alone)
    return {
        'leave_one_out_px': _median_and_mean(theirs), 'ours_leave_one_out_px': _median_and_mean(ours),
        'bone_length_cv': _percentile(np.array(list(bone_length_cv(BODY17, bodies).values())), 50, 4),
    }


def _median_and_mean(values: FloatArray) -> dict[str, float | None]:
    return {'median': _percentile(values, 50), 'mean': round(float(values.mean()), 2) if values.size else None}


def _all(per_camera: dict[str, FloatArray]) -> FloatArray:
    return np.concatenate(list(per_camera.values()))


def _percentile(values: FloatArray, percent: float, digits: int = 2) -> float | None:
    found = nan_percentile(values, percent)
    return None if np.isnan(found) else round(found, digits)


def read_diagnostics(recording: Path) -> dict[str, Mapping[str, str]]:
    """Return the last values that each diagnostic status reported, by the status' name without its node's."""
    with Recording([recording]) as recorded:
        statuses = [status for message in recorded.stream([DIAGNOSTICS]) for status in message.statuses()]
    return {status.name: status.values for status in statuses}


def drops(diagnostics: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """Return what was not published: sets by fate, and each camera's frames by cause."""
    pipeline = diagnostics.get('pipeline', {})
    counted = {'sets': {key.removeprefix('sets '): int(n) for key, n in pipeline.items() if key.startswith('sets ')}}
    for name, values in diagnostics.items():
        if name.startswith('camera '):
            causes = {key: int(n) for key, n in values.items() if key.startswith(('dropped: ', 'unusable: '))}
            counted[name] = {key.split(': ', 1)[1]: n for key, n in causes.items()}
    return counted


def sides_repaired(diagnostics: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[int, int]]:
    """Return by camera in how many images the detector exchanged sides, which the node repaired, and of how many."""
    return {
        name.removeprefix('camera '): (int(values.get('sides repaired', 0)), int(values.get('frames_used', 0)))
        for name, values in diagnostics.items() if name.startswith('camera ')
    }


def stage_ms(diagnostics: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
    """Return the node's time per stage, ms."""
    prefix = 'stage_ms '
    pipeline = diagnostics.get('pipeline', {})
    return {key.removeprefix(prefix): float(value) for key, value in pipeline.items() if key.startswith(prefix)}


def delays_ms(recording: Path) -> FloatArray:
    """Return (n,) times from the bodies' acquisition stamps to their arrival at the recorder, in order of arrival."""
    with Recording([recording]) as recorded:
        arrived = [(message.time_ns, message.bodies().stamp_ns) for message in recorded.stream([BODIES])]
    return np.array([time_ns - stamp_ns for time_ns, stamp_ns in arrived]) / 1e6


def latency_ms(recording: Path) -> dict[str, float]:
    """Return p50 and p95 of ``delays_ms``."""
    delays = delays_ms(recording)
    return {f'p{percent}': round(float(np.percentile(delays, percent)), 1) for percent in (50, 95)}
