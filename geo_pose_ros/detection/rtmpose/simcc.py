# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""RTMPose's keypoint network: the coordinates of one person's joints as two classifications.

Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from ...arrays import Float32Array, FloatArray
from ...geometry.stats import nan_mean
from ...skeleton import Skeleton
from ..networks import Batches, KeypointReader, RegionKeypoints
from ..regions import Crop, Regions
from .boxes import box_of, image_size, regions_of_boxes

# Mean and deviation of ImageNet; BGR order, as rtmlib uses them with these models.
_MEAN, _STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
# Bins per px of the input.
_BINS = 2.0
# A person's box beyond the joints: crown, hands and soles.
_BEYOND = 0.08


class SimccKeypoints(KeypointReader):
    """The network with its pre- and post-processing; see KeypointReader."""

    def __init__(self, network: Batches, skeleton: Skeleton) -> None:
        """Take over ``network``, whose first joints are those of ``skeleton``."""
        height, width = image_size(network.engine, (256, 192))
        super().__init__(network, Crop(width, height, cv2.BORDER_CONSTANT, 1.0 / _STD, -_MEAN / _STD))
        self.skeleton = skeleton
        self._names = [spec.name for spec in network.engine.outputs]
        # Width by height of its regions.
        self.aspect = width / height

    def _decode(self, regions: Regions, outputs: Mapping[str, Float32Array]) -> RegionKeypoints:
        """See KeypointReader; a region's presence is the mean score of the surer half of its joints."""
        joints = len(self.skeleton)
        along_x, along_y = (outputs[name][:, :joints] for name in self._names)
        bins = np.stack([along_x.argmax(-1), along_y.argmax(-1)], -1)
        confidence = np.clip(np.minimum(along_x.max(-1), along_y.max(-1)).astype(float), 0.0, 1.0)
        # Half of a body may be hidden or outside of the image.
        presence = np.sort(confidence, 1)[:, joints // 2 :].mean(1)
        xy = regions.to_image(bins / (_BINS * np.array([self._crop.width, self._crop.height])))
        sure = np.where(confidence[..., None] > 0.3, xy, np.nan)
        return RegionKeypoints(xy, confidence, presence, regions_of_boxes(box_of(sure, _BEYOND), self.aspect))

    def propose_regions(self, body17_xy: FloatArray, sigma_px: FloatArray) -> Regions:
        """Return the regions of people predicted at ``body17_xy``; see KeypointReader."""
        sigma = np.nan_to_num(nan_mean(sigma_px, 1))
        boxes = box_of(body17_xy, _BEYOND) + sigma[:, None] * (-1.0, -1.0, 1.0, 1.0)
        return regions_of_boxes(boxes, self.aspect)
