"""Models that see everybody in the whole picture at once: RTMO and YOLO-pose.

They gain nothing by being told where to look; the people whom the scene expects are recognised among those found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ...arrays import FloatArray, IntArray, UInt8Array
from ...errors import DetectorError, GeoPoseError
from ...skeleton import BODY17, Skeleton, map_to_body17
from ...types import Frame, Keypoints2D, PredictedPeople
from ..agreement import fits
from ..batches import Batches
from ..expectation import in_picture, seen_in_picture
from ..settings import DetectorConfig
from .boxes import image_size

_LEAST_SCORE, _NMS_OVERLAP = 0.3, 0.45


class People:
    """What a model gives for one picture.

    Attributes:
        boxes: (P, 4) left, top, right, bottom, px of the input.
        scores: (P,).
        keypoints: (P, J, 3) x, y px of the input and score.
        distinct: whether doubles have been suppressed.
    """

    __slots__ = ('boxes', 'distinct', 'keypoints', 'scores')

    def __init__(
        self, boxes: NDArray[np.float32], scores: NDArray[np.float32], keypoints: NDArray[np.float32], *, distinct: bool
    ) -> None:
        self.boxes, self.scores, self.keypoints, self.distinct = boxes, scores, keypoints, distinct


# What turns one picture's outputs, in their order, into people; RGB in [0, 1] or BGR in 0 .. 255 as input.
Reader = Callable[[list[NDArray[np.float32]]], People]


def _rtmo(outputs: list[NDArray[np.float32]]) -> People:
    keypoints = next(value for value in outputs if value.ndim == 3)
    boxes = next(value for value in outputs if value.ndim == 2 and value.shape[1] == 5)
    return People(boxes[:, :4], boxes[:, 4], keypoints, distinct=False)


def _yolo(outputs: list[NDArray[np.float32]]) -> People:
    rows = outputs[0].T
    half = 0.5 * rows[:, 2:4]
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
    return People(boxes, rows[:, 4], rows[:, 5:].reshape(len(rows), -1, 3), distinct=False)


def _end_to_end(outputs: list[NDArray[np.float32]]) -> People:
    rows = outputs[0]
    return People(rows[:, :4], rows[:, 4], rows[:, 6:].reshape(len(rows), -1, 3), distinct=True)


# Name of a kind -> its reader, and whether it wants RGB in [0, 1].
READERS: Mapping[str, tuple[Reader, bool]] = {
    'rtmo': (_rtmo, False), 'yolo': (_yolo, True), 'end_to_end': (_end_to_end, True),
}


class OneStageDetector:
    """One network over whole pictures, for any number of cameras; see Detector."""

    def __init__(
        self, network: Batches, reader: tuple[Reader, bool], skeleton: Skeleton, config: DetectorConfig
    ) -> None:
        """Take over ``network``, whose first joints are those of ``skeleton``."""
        self._network, self._skeleton, self._config = network, skeleton, config
        self._read, self._rgb = reader
        self._size = image_size(network.engine, (640, 640))
        self._to_body17 = map_to_body17(skeleton)

    @property
    def skeleton(self) -> Skeleton:
        """The joints it returns."""
        return self._skeleton

    @property
    def together(self) -> bool:
        """Whether the network runs on a GPU."""
        return self._network.on_gpu

    def detect(
        self, frames: Mapping[str, Frame], expected: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Return the keypoints of everybody; see Detector."""
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
            found[name] = self._people(frames[name], self._read(values), ratio, expected.get(name))
        return found

    def use_min_confidence(self, min_confidence: float) -> None:
        """See Adjustable."""
        self._config = replace(self._config, min_confidence=min_confidence)

    def close(self) -> None:
        """Free the network."""
        self._network.close()

    def _prepare(self, image: UInt8Array) -> tuple[NDArray[np.float32], float]:
        """Return the picture in the upper left of the input, (3, H, W), and the input's px per px of it."""
        ratio = min(self._size[0] / image.shape[0], self._size[1] / image.shape[1])
        canvas = np.full((*self._size, 3), 114, np.uint8)
        width, height = (max(1, int(side * ratio)) for side in (image.shape[1], image.shape[0]))
        canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        if self._rgb:
            return np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1), np.float32) / np.float32(255.0), ratio
        return np.ascontiguousarray(canvas.transpose(2, 0, 1), np.float32), ratio

    def _people(self, frame: Frame, people: People, ratio: float, expected: PredictedPeople | None) -> Keypoints2D:
        sure = people.scores >= _LEAST_SCORE
        boxes, scores, keypoints = people.boxes[sure], people.scores[sure], people.keypoints[sure]
        order = np.argsort(-scores, kind='stable')
        if not people.distinct:
            corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
            kept = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), _LEAST_SCORE, _NMS_OVERLAP)
            order = np.asarray(kept, int).ravel()
        order = order[: self._config.max_people]
        joints = len(self._skeleton)
        height, width = frame.image.shape[:2]
        marks = keypoints[order, :joints].astype(float)
        xy, confidence = seen_in_picture(marks[..., :2] / ratio, marks[..., 2], width, height)
        there = (confidence > 0.0).any(1)
        xy, confidence = xy[there], confidence[there]
        hints = self._recognise(frame, xy, confidence, expected)
        return Keypoints2D(frame.camera, frame.stamp_ns, self._skeleton, frame.to_raw(xy), confidence, hints)

    def _recognise(
        self, frame: Frame, xy: FloatArray, confidence: FloatArray, expected: PredictedPeople | None
    ) -> IntArray:
        """Return (P,) whom each of those found is, by one assignment to where people are expected, -1 for nobody."""
        hints = np.full(len(xy), -1)
        where, sigma_px, body_ids = in_picture(frame, expected)
        if not len(xy) or not len(body_ids):
            return hints
        body17_xy, body17_confidence = self._to_body17.apply(xy, confidence)
        body17_xy = np.where((body17_confidence >= self._config.min_confidence)[..., None], body17_xy, np.nan)
        joints = len(BODY17)
        shape = (len(xy), len(body_ids), joints)
        misfit = fits(
            np.broadcast_to(body17_xy[:, None], (*shape, 2)).reshape(-1, joints, 2),
            np.broadcast_to(where[None], (*shape, 2)).reshape(-1, joints, 2),
            np.broadcast_to(sigma_px[None], shape).reshape(-1, joints), self._config.astray,
        ).reshape(shape[:2])
        rows, columns = linear_sum_assignment(np.minimum(misfit, 2.0))
        fitting = misfit[rows, columns] <= 1.0
        hints[rows[fitting]] = body_ids[columns[fitting]]
        return hints
