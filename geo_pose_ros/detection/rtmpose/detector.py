# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""RTMPose, RTMO (mmpose's ONNX) and YOLO-pose (Ultralytics' ONNX), on any inference engine.

Jiang et al., "RTMPose", 2023; Lu et al., "RTMO", CVPR 2024. What a file holds is read from its outputs: two of
(N, J, bins) are RTMPose's (one person per region; people are found by MoveNet's finder, which ships); the others find
all people at once: boxes and (N, P, J, 3) keypoints is RTMO, (N, 5 + 3 J, P) is YOLO-pose, and (N, P, 6 + 3 J) the same
with the suppression of doubles in the graph. Of whole-body models the body's joints are taken. rtmlib knows where
mmpose's files lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import DetectorError
from ...inference.base import InferenceBackend
from ...skeleton import COCO17, HALPE26, Skeleton
from ..base import Detector
from ..models.catalogue import find_model
from ..movenet.persons import MultiposePersons
from ..networks import Batches, loading
from ..settings import DetectorConfig
from ..top_down import TopDownDetector
from .one_stage import READERS, OneStageDetector
from .simcc import SimccKeypoints
from .vendor import addresses, download, import_rtmlib

# Joints of a model -> the skeleton that its first ones are: COCO-WholeBody's 133 and Halpe's 136 begin with these.
_SKELETONS: Mapping[int, Skeleton] = {17: COCO17, 26: HALPE26, 133: COCO17, 136: HALPE26}
_DEFAULT_NAME = 'balanced'


@dataclass(frozen=True, slots=True)
class Kind:
    """What a model is: ``simcc``, or the name of a reader of one-stage outputs, and how many joints it has."""

    name: str
    joints: int


def create_rtmpose(config: DetectorConfig) -> Detector:
    """Return the detector of an ONNX file or one of rtmlib's names.

    Names (lightweight, balanced, performance, rtmo-...) are downloaded by rtmlib once.

    Raises:
        DetectorError: if rtmlib is missing, a file or download fails, or the model is none of the known kinds.
    """
    model = _resolve(config)
    with loading('rtmpose') as loaded:
        pose = Batches(model, config.engine)
        loaded.append(pose)
        kind = kind_of(pose.engine, model)
        skeleton = _SKELETONS[kind.joints]
        if kind.name != 'simcc':
            return OneStageDetector(pose, READERS[kind.name], skeleton, config)
        keypoints = SimccKeypoints(pose, skeleton)
        finder = MultiposePersons(
            config.engine, keypoints.propose_regions, find_model(config.person_model or 'movenet_multipose')
        )
        return TopDownDetector([finder], keypoints, config)


def kind_of(engine: InferenceBackend, model: Path) -> Kind:
    """Return what ``model`` is, from its declared outputs; raise DetectorError if it is none of the known."""
    shapes = [spec.shape for spec in engine.outputs]
    found: list[Kind] = []
    for shape in shapes:
        if len(shape) == 4 and shape[2] is not None and len(shapes) >= 2:
            found.append(Kind('rtmo', shape[2]))
    if len(shapes) == 2 and all(len(s) == 3 for s in shapes) and shapes[0][1] is not None:
        found.append(Kind('simcc', shapes[0][1]))
    if len(shapes) == 1 and len(shapes[0]) == 3:
        _, rows, columns = shapes[0]
        if columns is not None and columns > 6 and (columns - 6) % 3 == 0:
            found.append(Kind('end_to_end', (columns - 6) // 3))
        if rows is not None and rows > 5 and (rows - 5) % 3 == 0:
            found.append(Kind('yolo', (rows - 5) // 3))
    known = [kind for kind in found if kind.joints in _SKELETONS]
    if not known or len(engine.inputs) != 1:
        outputs = ', '.join(map(str, engine.outputs))
        raise DetectorError(
            f"Detector 'rtmpose': '{model.name}' gives {outputs}; expected RTMPose, RTMO or YOLO-pose of "
            f'{" or ".join(map(str, _SKELETONS))} joints.'
        )
    return known[0]


def _resolve(config: DetectorConfig) -> Path:
    """Return the file of the model, downloaded if it is one of rtmlib's names."""
    if config.model.endswith('.onnx'):
        return Path(config.model)
    import_rtmlib()
    name, known = config.model or _DEFAULT_NAME, addresses()
    if name not in known:
        raise DetectorError(
            f"Detector 'rtmpose': no model '{name}'; give a path that ends in .onnx, or one of {', '.join(known)}."
        )
    return download(known[name])
