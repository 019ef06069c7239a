# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Crops of a bag's images around people, with the fused bodies projected into them as labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np

from geo_pose_ros.arrays import BoolArray, FloatArray, IntArray, UInt8Array
from geo_pose_ros.bags.cameras import choose_cameras
from geo_pose_ros.bags.read import BagReader, until_damage
from geo_pose_ros.detection.blazepose.keypoints import INPUT_CROP
from geo_pose_ros.detection.regions import Regions, regions_around
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import ConfigError, GeoPoseError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.messages.image import frame_from_message
from geo_pose_ros.skeleton import BLAZEPOSE33, BODY17
from geo_pose_ros.types import Camera, CameraRig, Frame

from ..evaluation.calibration import SURE
from ..labels.triangulation import labels_with_covariance
from ..retraining.hold_out import HoldOut
from .settings import TeachSettings

# The landmarks (12,) that body17 has too, and its joints (12,): those of limbs.
_LIMBS = [(row, BODY17.joint_names.index(name)) for row, name in enumerate(BLAZEPOSE33.joint_names)
          if name in BODY17.joint_names and name.startswith(('left', 'right'))]
LANDMARKS: IntArray = np.array([landmark for landmark, _ in _LIMBS])
_JOINTS: IntArray = np.array([joint for _, joint in _LIMBS])
_HEAD = BODY17.index('head')
# Images so little before the first set or after the last one belong to it.
_BEYOND_NS = 5_000_000
# Of a region's side.
_HEAD_SIDE = 0.07
# A person of fewer known joints is no label.
_LEAST_JOINTS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """One person in a recording, over F sets.

    Attributes:
        stamp_ns: (F,) of the sets.
        xyz: (F, 17, 3) m in the world, NaN where nothing sure is known.
        covariance: (F, 17, 3, 3) m^2.
    """

    stamp_ns: IntArray
    xyz: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, held: HoldOut) -> Labels:
        """Return the person as fused and smoothed from the cameras that are trained on, over all frames.

        Raises:
            ConfigError: if the recording has no stamps, by which images are found.
        """
        if held.whole.stamp_ns is None:
            raise ConfigError(f"'{held.whole.name}' has no stamps; a detector is taught on bags with images.")
        xyz, weight, covariance = labels_with_covariance(held.whole.views(held.trained_on))
        return cls(held.whole.stamp_ns, np.where((weight > SURE)[..., None], xyz, np.nan), covariance)

    def frames(self, chosen: slice) -> Labels:
        """Return the ``chosen`` sets alone."""
        return Labels(self.stamp_ns[chosen], self.xyz[chosen], self.covariance[chosen])

    def in_image(self, camera: Camera, stamp_ns: int) -> tuple[FloatArray, FloatArray]:
        """Return the joints (17, 2) raw px in the image of ``stamp_ns``, NaN if unknown, and their sigma (17,) px."""
        common_ns = camera.clock.common_ns(stamp_ns)
        if not len(self.stamp_ns) or not self.stamp_ns[0] - _BEYOND_NS <= common_ns <= self.stamp_ns[-1] + _BEYOND_NS:
            return np.full((len(BODY17), 2), np.nan), np.full(len(BODY17), np.nan)
        # Before the first set and after the last one these count alone.
        row = np.interp(common_ns - self.stamp_ns[0], self.stamp_ns - self.stamp_ns[0], np.arange(len(self.stamp_ns)))
        nearest, before, share = round(float(row)), int(row), float(row) % 1.0
        xyz = (1.0 - share) * self.xyz[before] + share * self.xyz[before + 1] if share else self.xyz[before]
        local = transform_points(camera.cam_from_world, xyz)
        xy = np.where(local[:, 2:] > 0.1, project_world(camera, xyz), np.nan)
        variance = np.trace(self.covariance[nearest], axis1=-2, axis2=-1) / 3.0
        return xy, np.sqrt(variance) * camera.intrinsics.K[0, 0] / np.maximum(local[:, 2], 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """N crops as the network takes them.

    Attributes:
        images: (N, 256, 256, 3) BGR.
        xy: (N, 12, 2) labels of LANDMARKS, px of the crop from its edge, NaN = unknown.
        sigma: (N, 12) px of the crop.
        head: (N, 2) px of the crop, NaN = unknown.
        px: (N,) raw px of the camera per px of the crop.
        rehearsed: (N,) whether the crop is there so that nothing is forgotten: the labels are not trained on.
    """

    images: UInt8Array
    xy: FloatArray
    sigma: FloatArray
    head: FloatArray
    px: FloatArray
    rehearsed: BoolArray

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, index: IntArray) -> Crops:
        """Return the crops ``index`` alone."""
        return replace(self, **{one.name: getattr(self, one.name)[index] for one in fields(self)})

    @classmethod
    def concatenate(cls, parts: Sequence[Crops]) -> Crops:
        """Return all crops of ``parts``, of which there is one at least."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    @classmethod
    def cut(cls, frame: Frame, regions: Regions, joints: FloatArray, sigma_px: FloatArray) -> Crops:
        """Return the ``regions`` (R) of an image.

        Args:
            frame: the image.
            regions: px of the image.
            joints: (17, 2) raw px of the person.
            sigma_px: (17,) raw px.
        """
        side = float(INPUT_CROP.width)
        chosen = np.append(_JOINTS, _HEAD)
        unit = regions.from_image(np.broadcast_to(frame.from_raw(joints[chosen]), (len(regions), len(chosen), 2)))
        unit, head = unit[:, :-1], unit[:, -1]
        px = regions.size[:, 0] * frame.reduction / side
        inside = ((unit > -0.5) & (unit < 1.5)).all(-1, keepdims=True)
        return cls(
            INPUT_CROP.cut(frame.image, regions), np.where(inside, unit * side, np.nan),
            sigma_px[_JOINTS] / px[:, None],
            head * side, px, np.zeros(len(regions), bool),
        )


def gather(
    bag: Path, people: Sequence[HoldOut], settings: TeachSettings, seed: int, kinds: Sequence[str] = ('train', 'test')
) -> dict[str, Crops]:
    """Return the crops of a bag by kind: 'train', changed, and 'test', as they are.

    Args:
        bag: with images.
        people: those in it, with what is held out; all before one rig.
        settings: of the crops.
        seed: of their changes.
        kinds: that are wanted.

    Raises:
        BagError: if the bag cannot be read.
        ConfigError: if it has no images of a camera, or no crop of a kind.
    """
    rng = np.random.default_rng(seed)
    parts = [
        (kind, cameras, Labels.of(held).frames(frames))
        for held in people
        for kind, cameras, frames in (('train', held.trained_on, held.train), ('test', held.test_cameras, held.test))
        if kind in kinds
    ]
    copies = {'train': settings.copies + settings.rehearsed, 'test': 1}
    wanted = [sum(copies[k] * len(c) * len(of.stamp_ns) for k, c, of in parts if k == kind) for kind in kinds]
    found: dict[str, list[Crops]] = {kind: [] for kind in kinds}
    for camera, frame in read_images(bag, people[0].whole.rig, max(1, round(max(wanted) / settings.crops))):
        height, width = frame.image.shape[:2]
        for kind, cameras, labels in parts:
            joints, sigma_px = labels.in_image(camera, frame.stamp_ns)
            region = regions_around(frame.from_raw(joints)[None], sigma_px[None] / frame.reduction)
            known = np.isfinite(joints).all(-1).sum() >= _LEAST_JOINTS and region.usable(width, height).all()
            if known and camera.name in cameras:
                found[kind] += _cut_all(frame, region, joints, sigma_px, settings, rng, kind == 'train')
    empty = [kind for kind, crops in found.items() if not crops]
    if empty:
        raise ConfigError(
            f"Bag '{bag}' shows nobody whose joints several cameras agree on in the images to {' and to '.join(empty)} "
            'on; choose other cameras or frames.'
        )
    return {kind: Crops.concatenate(crops) for kind, crops in found.items()}


def read_images(bag: Path, rig: CameraRig, every: int) -> Iterator[tuple[Camera, Frame]]:
    """Yield every ``every``-th image of each camera of ``rig``; one that cannot be decoded is left out.

    Raises:
        BagError: if the bag cannot be read.
        ConfigError: if it has no images of a camera.
    """
    with BagReader(bag) as reader:
        chosen = choose_cameras(reader, rig.names)
        without = [name for name, topics in chosen.items() if not topics.image]
        if without:
            raise ConfigError(
                f"Bag '{bag}' has keypoints but no images of {', '.join(without)}; a detector learns from images."
            )
        names = {topics.image: name for name, topics in chosen.items()}
        config, number = DetectorConfig(), dict.fromkeys(names, -1)
        for message in until_damage(reader.messages(names)):
            number[message.topic] += 1
            if number[message.topic] % every == 0:
                camera = rig[names[message.topic]]
                try:
                    yield camera, frame_from_message(
                        message.decode(), camera.name, camera.intrinsics, config.max_side_px
                    )
                except GeoPoseError:
                    continue


def _cut_all(
    frame: Frame, region: Regions, joints: FloatArray, sigma_px: FloatArray, settings: TeachSettings,
    rng: np.random.Generator, is_trained: bool,
) -> list[Crops]:
    """Return the crop of ``region`` (1), or changed ones of it to train on and to rehearse with."""
    if not is_trained:
        return [Crops.cut(frame, region, joints, sigma_px)]
    seen = Crops.cut(frame, _moved(region, settings.copies, rng, turned_rad=0.8), joints, sigma_px)
    others = Crops.cut(frame, _moved(region, settings.rehearsed, rng, turned_rad=0.4), joints, sigma_px)
    return [_changed(seen, rng, is_rehearsed=False), _changed(others, rng, is_rehearsed=True)]


def _moved(region: Regions, count: int, rng: np.random.Generator, turned_rad: float) -> Regions:
    """Return ``count`` regions near ``region`` (1), as predictions and followed people have them."""
    side = region.size.max()
    return Regions(
        region.centre + rng.uniform(-0.06, 0.06, (count, 2)) * side,
        np.repeat(side * np.exp(rng.uniform(-0.2, 0.2, (count, 1))), 2, 1),
        region.angle + rng.uniform(-turned_rad, turned_rad, count),
    )


def _changed(crops: Crops, rng: np.random.Generator, is_rehearsed: bool) -> Crops:
    """Return crops as other light, lenses and clothes would show them; every other one is mirrored."""
    images, xy = crops.images.copy(), crops.xy.copy()
    side = images.shape[1]
    for number, image in enumerate(images):
        head = crops.head[number] if rng.random() < 0.5 else np.full(2, np.nan)
        if np.isfinite(head).all():
            _hide(image, head, rng.uniform(_HEAD_SIDE, 2.0 * _HEAD_SIDE, 2) * side, rng)
        if rng.random() < 0.5:
            _hide(image, rng.uniform(0.0, side, 2), rng.uniform(0.1, 0.35, 2) * side, rng)
        if rng.random() < 0.5:
            image[:] = image[:, ::-1].copy()
            xy[number, :, 0] = side - xy[number, :, 0]
            # Left and right follow each other.
            xy[number] = xy[number].reshape(-1, 2, 2)[:, ::-1].reshape(-1, 2)
        colour = image[..., rng.permutation(3)] if rng.random() < 0.5 else image
        if rng.random() < 0.25:
            colour = 255 - colour
        gain, offset = rng.uniform(0.6, 1.3, 3), rng.uniform(-25.0, 25.0, 3)
        noise = rng.normal(0.0, rng.uniform(0.0, 8.0), image.shape)
        image[:] = np.clip(colour * gain + offset + noise, 0.0, 255.0)
    return replace(crops, images=images, xy=xy, rehearsed=np.full(len(crops), is_rehearsed))


def _hide(image: UInt8Array, centre: FloatArray, size: FloatArray, rng: np.random.Generator) -> None:
    """Make a part of the image coarse: hands, faces and feet are hidden, out of focus, or unrecognisable on purpose."""
    left, top = np.maximum(centre - 0.5 * size, 0.0).astype(int)
    right, bottom = (centre + 0.5 * size).astype(int)
    part = image[top : max(bottom, 0), left : max(right, 0)]
    if not part.size:
        return
    if rng.random() < 0.5:
        part[:] = cv2.blur(part, (int(rng.integers(5, 40)),) * 2)
    else:
        cells = int(rng.integers(1, 7))
        small = cv2.resize(part, (cells, cells), interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(small, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
