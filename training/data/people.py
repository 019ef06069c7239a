"""The people of a recording, separated by the body ids of the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import CameraRig, Keypoints2D

# Somebody who was seen by two cameras for less than this was passing by, instants.
_LEAST_INSTANTS = 30

People = list[tuple[FloatArray, FloatArray]]


def tell_apart(rig: CameraRig, sets: Sequence[tuple[int, Mapping[str, Keypoints2D]]]) -> People:
    """Return xy (F, C, J, 2) px, NaN = not seen, and confidence (F, C, J) of every person, who was seen longest first.

    If no image shows two people, all detections are of one person. Otherwise the pipeline separates people by their
    body ids, without its lifter: labels must not depend on the model that is trained. A detection is left out if two
    cameras do not see its person together. A person that they see for less than 30 instants is left out, unless
    nobody was seen longer.

    Args:
        rig: C cameras.
        sets: F sets: stamp, and body17 keypoints by camera; cameras may be missing.
    """
    if all(len(seen.xy) <= 1 for _, found in sets for seen in found.values()):
        return [_gathered(rig, sets, [dict.fromkeys(found, 0) for _, found in sets])]
    rows: dict[int, list[dict[str, int]]] = {}
    with PosePipeline(rig, replace(PipelineConfig(), lifter=LifterConfig(enabled=False))) as pipeline:
        for index, (stamp_ns, found) in enumerate(sets):
            for name, owners in pipeline.fuse(stamp_ns, found).scene.owners.items():
                for row, body in enumerate(owners.tolist()):
                    if body >= 0:
                        rows.setdefault(body, [{} for _ in sets])[index][name] = row
    shared = {body: sum(len(views) >= 2 for views in seen) for body, seen in rows.items()}
    longest = sorted(shared, key=lambda body: (-shared[body], body))
    chosen = [body for n, body in enumerate(longest) if shared[body] >= (1 if n == 0 else _LEAST_INSTANTS)]
    return [_gathered(rig, sets, rows[body]) for body in chosen]


def _gathered(
    rig: CameraRig, sets: Sequence[tuple[int, Mapping[str, Keypoints2D]]], rows: Sequence[Mapping[str, int]]
) -> tuple[FloatArray, FloatArray]:
    """Return xy and confidence of the detections ``rows``, by set and camera."""
    xy = np.full((len(sets), len(rig), len(BODY17), 2), np.nan)
    confidence = np.zeros(xy.shape[:3])
    for index, ((_, found), chosen) in enumerate(zip(sets, rows, strict=True)):
        for name, row in chosen.items():
            if row < len(found[name].xy):
                camera = rig.names.index(name)
                xy[index, camera], confidence[index, camera] = found[name].xy[row], found[name].confidence[row]
    return xy, confidence
