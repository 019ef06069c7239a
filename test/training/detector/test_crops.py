# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where fused bodies lie in the images of a bag, and crops around them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.detector.crops import LANDMARKS, Crops, Labels, gather, read_images
from geo_pose_training.detector.settings import TeachSettings
from geo_pose_training.retraining.hold_out import hold_out

from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.detection.regions import Regions
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.skeleton import BLAZEPOSE33
from geo_pose_ros.types import Frame
from test.training.people import PERIOD_NS, recorded_person, write_bag

START_NS = 1_700_000_000_000_000_000


def stamped(frames: int = 8) -> PersonRecording:
    """Return a person with stamps, as a bag gives."""
    return replace(recorded_person(frames=frames, noise_px=0.5), stamp_ns=START_NS + PERIOD_NS * np.arange(frames))


def write_images(path: Path, whole: PersonRecording) -> Path:
    """Write a bag of images in which every joint of the person is a white disc."""
    assert whole.stamp_ns is not None
    with BagWriter(path) as writer:
        writer.write_rig(whole.rig, START_NS)
        for c, camera in enumerate(whole.rig.cameras):
            lens = camera.intrinsics
            for index, stamp_ns in enumerate(whole.stamp_ns.tolist()):
                image = np.zeros((lens.height, lens.width, 3), np.uint8)
                for x, y in whole.xy[index, c].round().astype(int):
                    image[max(y - 6, 0) : max(y + 7, 0), max(x - 6, 0) : max(x + 7, 0)] = 255
                writer.write_frame(Frame(camera.name, stamp_ns, image), camera.frame_id)
    return path


@pytest.fixture(scope='module')
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[PersonRecording, Path]:
    whole = stamped()
    return whole, write_images(tmp_path_factory.mktemp('images') / 'walk', whole)


def test_regions_take_points_of_the_image_back() -> None:
    centre, size = np.array([[50.0, 40.0], [10.0, 90.0]]), np.array([[80.0, 60.0], [30.0, 30.0]])
    regions = Regions(centre, size, np.array([0.4, -2.0]))
    unit = np.random.default_rng(0).random((2, 5, 2))
    np.testing.assert_allclose(regions.from_image(regions.to_image(unit)), unit, atol=1e-12)


def test_labels_are_fused_bodies_at_the_instant_of_the_image() -> None:
    whole = stamped(30)
    labels = Labels.of(hold_out(whole, camera='cam3'))
    camera, truth = whole.rig['cam3'], whole.truth
    assert truth is not None and whole.stamp_ns is not None
    between = int(whole.stamp_ns[12]) + PERIOD_NS // 2
    xy, sigma_px = labels.in_image(camera, between)
    assert np.abs(xy - project_world(camera, 0.5 * (truth[12] + truth[13]))).max() < 4.0
    assert (sigma_px > 0.1).all() and (sigma_px < 20.0).all()
    exactly, _ = labels.in_image(camera, int(whole.stamp_ns[12]))
    np.testing.assert_allclose(exactly, project_world(camera, labels.xyz[12]))
    for outside in (int(whole.stamp_ns[0]) - 20_000_000, int(whole.stamp_ns[-1]) + 20_000_000):
        assert np.isnan(labels.in_image(camera, outside)[0]).all()
    assert len(labels.frames(slice(3, 7)).xyz) == 4


def test_crops_show_the_joints_where_their_labels_are(recorded: tuple[PersonRecording, Path]) -> None:
    whole, bag = recorded
    held = hold_out(whole, camera='cam3', train=slice(0, 5), test=slice(5, 8))
    found = gather(bag, [held], TeachSettings(crops=1000, copies=2, rehearsed=1), seed=0)
    train, test = found['train'], found['test']
    # Five images of three cameras; three of the fourth.
    assert (len(train), train.rehearsed.sum(), len(test), test.rehearsed.sum()) == (45, 15, 3, 0)
    assert 0.5 < test.px.min() < 6.0

    def brightness(crops: Crops) -> float:
        """Return how bright the images are at the labels, of 255."""
        values = []
        for image, labels in zip(crops.images, crops.xy, strict=True):
            for x, y in labels[np.isfinite(labels).all(-1)].astype(int):
                if 0 <= x < 256 and 0 <= y < 256:
                    values.append(image[y, x].max())
        return float(np.median(values))

    assert brightness(test) > 200
    # Light and colours are changed, some inverted; labels move along, mirrored as well.
    hip = train.xy[:, LANDMARKS.tolist().index(BLAZEPOSE33.index('left_hip'))]
    assert len(np.unique(np.nan_to_num(hip).round(), axis=0)) > 40
    again = gather(bag, [held], TeachSettings(crops=1000, copies=2, rehearsed=1), seed=0)
    np.testing.assert_array_equal(again['train'].images, train.images)
    # Fewer crops, of fewer images.
    assert len(gather(bag, [held], TeachSettings(crops=15, copies=2, rehearsed=1), 0)['train']) < 20


def test_what_cannot_be_cut_is_refused(recorded: tuple[PersonRecording, Path], tmp_path: Path) -> None:
    whole, bag = recorded
    with pytest.raises(ConfigError, match='has no stamps'):
        Labels.of(hold_out(replace(whole, stamp_ns=None), camera='cam3'))
    nobody = replace(whole, xy=np.full_like(whole.xy, np.nan), confidence=np.zeros_like(whole.confidence))
    chosen = hold_out(nobody, camera='cam3', train=slice(0, 5), test=slice(5, 8))
    with pytest.raises(ConfigError, match='shows nobody whose joints several cameras agree on in the images to train'):
        gather(bag, [chosen], TeachSettings(), 0)
    write_bag(tmp_path / 'keypoints', recorded_person(frames=3))
    with pytest.raises(ConfigError, match='has keypoints but no images of cam0'):
        next(read_images(tmp_path / 'keypoints', whole.rig, 1))
