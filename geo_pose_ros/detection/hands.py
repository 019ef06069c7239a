# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Hands: 21 joints of each, read where the arms of the people in an image end.

As in mediapipe's holistic graph: the region of a hand comes from wrist and finger bases of the body; the region in the
next image from the hand itself. Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020. The arm says
whether a hand is left or right, not the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ..arrays import BoolArray, Float32Array, FloatArray, IntArray
from ..errors import BackendError, DetectorError
from ..inference.settings import EngineConfig
from ..skeleton import HAND21, WHOLEBODY
from ..types import Frame, Keypoints2D, PredictedPeople
from .base import Adjustable, Detector
from .models.catalogue import packaged
from .networks import Batches, KeypointReader, RegionKeypoints
from .regions import Crop, Regions
from .settings import DetectorConfig

_INPUT_PX = 224
_CROP = Crop(_INPUT_PX, _INPUT_PX, cv2.BORDER_REPLICATE, 1.0 / 255.0, 0.0, is_rgb=True, from_edge=True)
# Side of a hand's region by twice the way from the wrist to the fingers' bases, and by the box of its palm and finger
# bases; how far it is moved towards the fingers, by its size before.
_OF_ARM, _OF_HAND, _MOVED = 2.7, 2.0, 0.1
# Wrist, thumb without its tip, and the first two joints of the fingers: their box hardly changes as a hand closes.
_PALM = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
_INDEX_BASE, _MIDDLE_BASE, _RING_BASE = 5, 9, 13
# The base of the middle finger by a forearm, beyond the wrist, where the body's detector does not see fingers.
_BEYOND_WRIST = 0.35
# Two hands of which one lies on the other, by their size, are one hand that was read twice.
_SAME_HAND = 0.35
# A hand's wrist is as near as this to that of its arm, by the size of its region.
_AT_WRIST = 0.35
# Joints in WHOLEBODY, by side: elbow, wrist, index, pinky; and the first of the hand's.
_ARMS = np.array([
    [WHOLEBODY.index(f'{side}_{joint}') for joint in ('elbow', 'wrist', 'index', 'pinky')] for side in ('left', 'right')
])
_FIRST = [WHOLEBODY.index(f'{side}_{HAND21.joint_names[0]}') for side in ('left', 'right')]


def regions_at_arms(xy: FloatArray) -> Regions:
    """Return the regions (P * 2) of left and right hands of people at ``xy`` (P, 79, 2) px; NaN where unknown."""
    elbow, wrist, index, pinky = np.moveaxis(xy[:, _ARMS], 2, 0).reshape(4, -1, 2)
    base = (2.0 * index + pinky) / 3.0
    base = np.where(np.isnan(base), wrist + _BEYOND_WRIST * (wrist - elbow), base)
    way = base - wrist
    size = 2.0 * np.hypot(way[:, 0], way[:, 1])
    return _regions(base, size, way, _OF_ARM)


def regions_of_hands(xy: FloatArray) -> Regions:
    """Return the regions (R) of hands at ``xy`` (R, 21, 2) px in the next image."""
    way = 0.25 * (xy[:, _INDEX_BASE] + xy[:, _RING_BASE]) + 0.5 * xy[:, _MIDDLE_BASE] - xy[:, 0]
    angle = _angle(way)
    turn = np.stack([np.cos(angle), np.sin(angle)], -1)
    palm = xy[:, _PALM]
    across = palm[..., 0] * turn[:, None, 0] + palm[..., 1] * turn[:, None, 1]
    along = palm[..., 1] * turn[:, None, 0] - palm[..., 0] * turn[:, None, 1]
    x, y = (0.5 * (values.max(1, initial=-np.inf) + values.min(1, initial=np.inf)) for values in (across, along))
    centre = np.stack([turn[:, 0] * x - turn[:, 1] * y, turn[:, 1] * x + turn[:, 0] * y], -1)
    return _regions(centre, np.maximum(np.ptp(across, 1), np.ptp(along, 1)), way, _OF_HAND)


def _angle(way: FloatArray) -> FloatArray:
    """Return by how much (R,) rad a hand is turned whose fingers point along ``way`` (R, 2) px; upright is 0."""
    return np.asarray(np.arctan2(way[:, 0], -way[:, 1]))


def _regions(centre: FloatArray, size: FloatArray, way: FloatArray, scale: float) -> Regions:
    angle = _angle(way)
    towards = np.stack([np.sin(angle), -np.cos(angle)], -1)
    return Regions(centre + _MOVED * size[:, None] * towards, scale * np.repeat(size[:, None], 2, 1), angle)


class HandNetwork(KeypointReader):
    """The network that reads the one hand that a region shows."""

    def __init__(self, config: EngineConfig, model: Path | None = None) -> None:
        """Load the network that ships, or ``model``; raise BackendError if the engine cannot."""
        network = Batches(model or packaged('hand'), config)
        network.require((_INPUT_PX, _INPUT_PX), {'landmarks': (63,), 'presence': (1,)})
        super().__init__(network, _CROP)

    def _decode(self, regions: Regions, outputs: Mapping[str, Float32Array]) -> RegionKeypoints:
        """See KeypointReader; of 21 joints."""
        marks = outputs['landmarks'].reshape(-1, len(HAND21), 3).astype(float)
        presence = np.clip(outputs['presence'][:, 0].astype(float), 0.0, 1.0)
        xy = regions.to_image(marks[..., :2] / _INPUT_PX)
        return RegionKeypoints(xy, presence[:, None].repeat(21, 1), presence, regions_of_hands(xy))


@dataclass(slots=True)
class _Hands:
    """The hands to be read in one image.

    Attributes:
        rows: (H,) person * 2 + side.
        regions: (H) where they are looked for.
        wrist: (H, 2) px, of the arms.
        is_new: (H,) whether the region comes from the arm: it is only roughly right.
    """

    rows: IntArray
    regions: Regions
    wrist: FloatArray
    is_new: BoolArray


class HandReader:
    """A detector of bodies whose hands are read too; see Detector."""

    skeleton = WHOLEBODY

    def __init__(self, bodies: Detector, hands: HandNetwork, least_px: float, min_presence: float) -> None:
        """Take over both.

        Args:
            bodies: finds people.
            hands: reads hands.
            least_px: smaller regions of hands are not read.
            min_presence: least probability that a region shows a hand.
        """
        self._bodies, self._hands, self._least_px, self._min_presence = bodies, hands, least_px, min_presence
        self.is_batched = bodies.is_batched
        # By camera: where the hands of a body are in the next image, by body id * 2 + side.
        self._known: dict[str, dict[int, Regions]] = {}

    def detect(
        self, frames: Mapping[str, Frame], predicted: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Return the keypoints of all people and their hands; see Detector."""
        people = {
            name: seen.as_output(WHOLEBODY) for name, seen in self._bodies.detect(frames, predicted).items()
        }
        wanted = {name: self._plan(frames[name], seen) for name, seen in people.items()}
        found = self._read(frames, {name: hands.regions for name, hands in wanted.items()})
        again = {}
        for name, hands in wanted.items():
            rough = hands.is_new & (found[name].presence >= self._min_presence)
            again[name] = np.flatnonzero(rough & found[name].next_regions.usable(*_size(frames[name])))
        better = self._read(frames, {name: found[name].next_regions.select(rows) for name, rows in again.items()})
        return {
            name: self._settle(frames[name], seen, wanted[name], _replaced(found[name], again[name], better[name]))
            for name, seen in people.items()
        }

    def use_min_confidence(self, min_confidence: float) -> None:
        """See Adjustable."""
        if isinstance(self._bodies, Adjustable):
            self._bodies.use_min_confidence(min_confidence)

    def close(self) -> None:
        """Free all networks."""
        self._bodies.close()
        self._hands.close()

    def _read(self, frames: Mapping[str, Frame], regions: Mapping[str, Regions]) -> dict[str, RegionKeypoints]:
        """Return the hands in ``regions`` of the images, by camera."""
        images = [(frames[name].image, of_camera) for name, of_camera in regions.items()]
        return dict(zip(regions, self._hands.estimate_keypoints(images), strict=True))

    def _plan(self, frame: Frame, seen: Keypoints2D) -> _Hands:
        """Return the hands of ``seen`` that are large enough and in the image."""
        xy = frame.from_raw(seen.xy)
        regions, wrist = regions_at_arms(xy), xy[:, _ARMS[:, 1]].reshape(-1, 2)
        width, height = _size(frame)
        with np.errstate(invalid='ignore'):
            inside = ((wrist >= 0.0) & (wrist <= (width - 1.0, height - 1.0))).all(-1)
            rows = np.flatnonzero(regions.usable(width, height) & inside & (regions.size[:, 0] >= self._least_px))
        known, chosen, is_new = self._known.get(seen.camera, {}), [], np.ones(len(rows), bool)
        for k, row in enumerate(rows.tolist()):
            before = known.get(int(seen.hints[row // 2]) * 2 + row % 2)
            own = regions.select(np.array([row]))
            near = before is not None and bool(
                (np.hypot(*(before.centre - own.centre)[0]) < 0.25 * before.size[0, 0])
                & (0.5 < before.size[0, 0] / own.size[0, 0] < 2.0)
            )
            is_new[k] = not near
            chosen.append(before if near and before is not None else own)
        return _Hands(rows, Regions.concatenate(chosen), wrist[rows], is_new)

    def _settle(self, frame: Frame, seen: Keypoints2D, hands: _Hands, found: RegionKeypoints) -> Keypoints2D:
        """Return ``seen`` with the hands that are hands, at the end of their arm, and no other one's."""
        size = 0.5 * found.next_regions.size[:, 0]
        apart = np.hypot(*(found.xy[:, 0] - hands.wrist).T) / np.maximum(size, 1.0)
        is_hand = (found.presence >= self._min_presence) & (apart < 2.0 * _AT_WRIST)
        gaps = np.linalg.norm(found.xy[:, None] - found.xy[None], axis=-1).mean(-1)
        same = gaps < _SAME_HAND * np.minimum(size[:, None], size[None])
        # Of a hand that was read twice, by hands that touch, the arm whose wrist is nearer has it.
        first = np.tri(len(apart), k=-1, dtype=bool)
        nearer = (apart[None] < apart[:, None]) | ((apart[None] == apart[:, None]) & first)
        kept = np.flatnonzero(is_hand & ~(same & nearer & is_hand[None]).any(1))
        xy, confidence = seen.xy.copy(), seen.confidence.copy()
        raw = frame.to_raw(found.xy)
        known: dict[int, Regions] = {}
        for k in kept.tolist():
            person, side = divmod(int(hands.rows[k]), 2)
            joints = slice(_FIRST[side], _FIRST[side] + len(HAND21))
            xy[person, joints], confidence[person, joints] = raw[k], found.confidence[k]
            if seen.hints[person] >= 0:
                known[int(seen.hints[person]) * 2 + side] = found.next_regions.select(np.array([k]))
        self._known[seen.camera] = known
        return replace(seen, xy=xy, confidence=confidence)


def _size(frame: Frame) -> tuple[int, int]:
    height, width = frame.image.shape[:2]
    return width, height


def _replaced(found: RegionKeypoints, rows: IntArray, better: RegionKeypoints) -> RegionKeypoints:
    """Return ``found`` (R) with ``better`` (N) in the places ``rows``."""
    if not len(rows):
        return found
    xy, confidence, presence = found.xy.copy(), found.confidence.copy(), found.presence.copy()
    xy[rows], confidence[rows], presence[rows] = better.xy, better.confidence, better.presence
    return RegionKeypoints(xy, confidence, presence, regions_of_hands(xy))


def with_hands(bodies: Detector, config: DetectorConfig) -> Detector:
    """Return the detector ``bodies`` with a reader of hands behind it, unless it reads hands itself or no images.

    Raises:
        DetectorError: if the network cannot be loaded.
    """
    if config.name == 'keypoints' or set(bodies.skeleton.joint_names) & set(WHOLEBODY.joint_names[_FIRST[0] :]):
        return bodies
    try:
        network = HandNetwork(config.engine)
    except BackendError as error:
        raise DetectorError(f'The network of hands cannot be loaded: {error}') from error
    return HandReader(bodies, network, config.hand_min_px, config.min_presence)
