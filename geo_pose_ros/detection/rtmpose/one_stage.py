# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Models that find all people in the full image at once: RTMO and YOLO-pose.

They gain nothing from predictions; predicted people are recognised among the people found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...arrays import Float32Array, FloatArray, IntArray, UInt8Array
from ...errors import DetectorError, GeoPoseError
from ...skeleton import Skeleton, map_to_body17
from ...types import Frame, Keypoints2D, PredictedPeople
from ..checks import keypoints_in_image
from ..matching import prediction_errors, predictions_in_image
from ..networks import Batches
from ..settings import DetectorConfig
from .boxes import LEAST_SCORE, image_size, letterbox, suppress_overlapping


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """What a model gives for one image.

    Attributes:
        boxes: (P, 4) left, top, right, bottom, px of the input.
        scores: (P,).
        keypoints: (P, J, 3) x, y px of the input and score.
        is_distinct: whether the model itself suppresses detections that overlap.
    """

    boxes: Float32Array
    scores: Float32Array
    keypoints: Float32Array
    is_distinct: bool = False


# One image's outputs, in their order -> people.
Reader = Callable[[list[Float32Array]], People]


def _rtmo(outputs: list[Float32Array]) -> People:
    keypoints = next(value for value in outputs if value.ndim == 3)
    boxes = next(value for value in outputs if value.ndim == 2 and value.shape[1] == 5)
    return People(boxes[:, :4], boxes[:, 4], keypoints)


def _yolo(outputs: list[Float32Array]) -> People:
    rows = outputs[0].T
    half = 0.5 * rows[:, 2:4]
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
    return People(boxes, rows[:, 4], rows[:, 5:].reshape(len(rows), -1, 3))


def _end_to_end(outputs: list[Float32Array]) -> People:
    rows = outputs[0]
    return People(rows[:, :4], rows[:, 4], rows[:, 6:].reshape(len(rows), -1, 3), is_distinct=True)


# Name of a kind -> its reader, and whether it wants RGB in [0, 1].
READERS: Mapping[str, tuple[Reader, bool]] = {
    'rtmo': (_rtmo, False), 'yolo': (_yolo, True), 'end_to_end': (_end_to_end, True),
}


class OneStageDetector:
    """One network over full images, for any number of cameras; see Detector."""

    def __init__(
        self, network: Batches, reader: tuple[Reader, bool], skeleton: Skeleton, config: DetectorConfig
    ) -> None:
        """Take over ``network``, whose first joints are those of ``skeleton``."""
        self._network, self.skeleton, self.is_batched = network, skeleton, network.on_gpu
        self._config = config
        self._read, self._rgb = reader
        self._size = image_size(network.engine, (640, 640))
        self._to_body17 = map_to_body17(skeleton)

    def detect(
        self, frames: Mapping[str, Frame], predicted: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Return the keypoints of all people; see Detector."""
        prepared = {name: self._prepare(frame.image) for name, frame in frames.items()}
        if not prepared:
            return {}
        try:
            outputs = self._network.infer(np.stack([tensor for tensor, _ in prepared.values()]))
        except GeoPoseError as error:
            raise DetectorError(f"Detector 'rtmpose' failed on camera '{', '.join(frames)}': {error}") from error
        found = {}
        for row, (name, (_, ratio)) in enumerate(prepared.items()):
            values = [outputs[spec.name][row] for spec in self._network.engine.outputs]
            found[name] = self._people(frames[name], self._read(values), ratio, predicted.get(name))
        return found

    def close(self) -> None:
        """Free the network."""
        self._network.close()

    def use_min_confidence(self, min_confidence: float) -> None:
        """See Adjustable."""
        self._config = replace(self._config, min_confidence=min_confidence)

    def _prepare(self, image: UInt8Array) -> tuple[Float32Array, float]:
        """Return the input (3, H, W) of ``image``, and the px of the input per px of ``image``."""
        canvas, ratio = letterbox(image, *self._size)
        if self._rgb:
            return np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1), np.float32) / np.float32(255.0), ratio
        return np.ascontiguousarray(canvas.transpose(2, 0, 1), np.float32), ratio

    def _people(self, frame: Frame, people: People, ratio: float, predicted: PredictedPeople | None) -> Keypoints2D:
        sure = people.scores >= LEAST_SCORE
        boxes, scores, keypoints = people.boxes[sure], people.scores[sure], people.keypoints[sure]
        order = np.argsort(-scores, kind='stable')
        if not people.is_distinct:
            order = suppress_overlapping(boxes, scores, LEAST_SCORE)
        order = order[: self._config.max_people]
        joints = len(self.skeleton)
        height, width = frame.image.shape[:2]
        marks = keypoints[order, :joints].astype(float)
        xy, confidence = keypoints_in_image(marks[..., :2] / ratio, marks[..., 2], width, height)
        seen = (confidence > 0.0).any(1)
        xy, confidence = xy[seen], confidence[seen]
        hints = self._recognise(frame, xy, confidence, predicted)
        return Keypoints2D(frame.camera, frame.stamp_ns, self.skeleton, frame.to_raw(xy), confidence, hints)

    def _recognise(
        self, frame: Frame, xy: FloatArray, confidence: FloatArray, predicted: PredictedPeople | None
    ) -> IntArray:
        """Return (P,) the id of the predicted person that each detection is assigned to, -1 for none."""
        hints = np.full(len(xy), -1)
        predicted_xy, sigma_px, body_ids = predictions_in_image(frame, predicted)
        if not len(xy) or not len(body_ids):
            return hints
        body17_xy, body17_confidence = self._to_body17.apply(xy, confidence)
        body17_xy = np.where((body17_confidence >= self._config.min_confidence)[..., None], body17_xy, np.nan)
        error = prediction_errors(
            body17_xy[:, None], predicted_xy[None], sigma_px[None], self._config.max_prediction_error
        )
        rows, columns = linear_sum_assignment(np.minimum(error, 2.0))
        fitting = error[rows, columns] <= 1.0
        hints[rows[fitting]] = body_ids[columns[fitting]]
        return hints
