"""RTMPose's keypoint network: the coordinates of one person's joints as two classifications.

Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ...arrays import FloatArray, UInt8Array
from ...skeleton import Skeleton
from ..batches import Batches
from ..readings import Reading
from ..regions import Regions, crops, to_tensor
from .boxes import box_of, image_size, regions_of_boxes

# Mean and deviation of ImageNet; BGR order, as rtmlib uses them with these models.
_MEAN, _STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
# Bins per px of the input.
_BINS = 2.0
# A person's box beyond the joints: crown, hands and soles.
_BEYOND = 0.08


class SimccKeypoints:
    """The network with its pre- and post-processing; see KeypointNetwork."""

    def __init__(self, network: Batches, skeleton: Skeleton) -> None:
        """Take over ``network``, whose first joints are those of ``skeleton``."""
        self._network, self._skeleton = network, skeleton
        self._height, self._width = image_size(network.engine, (256, 192))

    @property
    def skeleton(self) -> Skeleton:
        """The joints it reads."""
        return self._skeleton

    @property
    def on_gpu(self) -> bool:
        """Whether the engine runs on a GPU."""
        return self._network.on_gpu

    @property
    def aspect(self) -> float:
        """Width by height of its regions."""
        return self._width / self._height

    def read(self, pictures: Sequence[tuple[UInt8Array, Regions]]) -> list[Reading]:
        """Return what the regions of each picture show; see KeypointNetwork.

        A region's presence is the mean score of the surer half of its joints.
        """
        cut = [
            crops(image, regions, self._width, self._height, cv2.BORDER_CONSTANT, edges=False)
            for image, regions in pictures
        ]
        joints = len(self._skeleton)
        if not sum(map(len, cut)):
            return [Reading.nothing(self._skeleton) for _ in pictures]
        scale, shift = 1.0 / _STD, -_MEAN / _STD
        tensor = to_tensor(np.concatenate(cut), scale, shift, rgb=False)
        outputs = self._network.infer(tensor)
        along_x, along_y = (outputs[spec.name][:, :joints] for spec in self._network.engine.outputs)
        bins = np.stack([along_x.argmax(-1), along_y.argmax(-1)], -1)
        confidence = np.clip(np.minimum(along_x.max(-1), along_y.max(-1)).astype(float), 0.0, 1.0)
        # Half of a body may be hidden or out of the picture.
        best = np.sort(confidence, 1)[:, joints // 2 :].mean(1)
        unit = bins / (_BINS * np.array([self._width, self._height]))
        read, start = [], 0
        for _, regions in pictures:
            rows = slice(start, start := start + len(regions))
            xy = regions.to_picture(unit[rows])
            sure = np.where(confidence[rows, :, None] > 0.3, xy, np.nan)
            read.append(Reading(
                xy, confidence[rows], best[rows],
                regions_of_boxes(box_of(sure, _BEYOND), self.aspect),
            ))
        return read

    def around(self, body17_xy: FloatArray, sigma_px: FloatArray) -> Regions:
        """Return the regions of people expected at ``body17_xy``; see KeypointNetwork."""
        boxes = box_of(body17_xy, _BEYOND)
        finite = np.isfinite(sigma_px)
        sigma = np.where(finite, sigma_px, 0.0).sum(1) / np.maximum(finite.sum(1), 1)
        boxes = boxes + sigma[:, None] * (-1.0, -1.0, 1.0, 1.0)
        return regions_of_boxes(boxes, self.aspect)

    def close(self) -> None:
        """Free the network."""
        self._network.close()
