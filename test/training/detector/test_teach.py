# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a detector learns from labelled crops, and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geo_pose_training.detector.check import DetectorCheck, check_detector, detector_objections
from geo_pose_training.detector.crops import LANDMARKS, Crops
from geo_pose_training.detector.settings import TeachSettings
from geo_pose_training.detector.teach import load_network, shares, targets_of, teach

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.skeleton import BLAZEPOSE33
from test.inference import onnx_models

from .tiny import write_network


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_network(tmp_path / 'tiny.onnx')


def crops_of(count: int, labels: np.ndarray, seed: int = 0) -> Crops:
    """Return crops of noise with the same ``labels`` (12, 2)."""
    images = np.random.default_rng(seed).integers(0, 255, (count, 256, 256, 3), np.uint8)
    return Crops(
        images, np.repeat(labels[None], count, 0), np.full((count, 12), 1.0), np.full((count, 2), np.nan),
        np.full(count, 2.0), np.zeros(count, bool),
    )


LABELS = np.random.default_rng(1).uniform(60.0, 200.0, (12, 2))


def test_labels_replace_limbs_and_exchanged_sides_are_put_right() -> None:
    rng = np.random.default_rng(3)
    marks, heat = torch.from_numpy(rng.uniform(60.0, 200.0, (2, 39, 5))).float(), torch.full((2, 64, 64, 39), -9.0)
    marks[1] = marks[0]
    said = {'landmarks': marks.reshape(2, -1), 'heatmap': heat, 'presence': torch.ones(2, 1)}
    own = marks[0, LANDMARKS, :2].double().numpy()
    # The first crop shows the arms exchanged, the second is right but for a few px.
    exchanged = own.copy()
    exchanged[:6] = own[:6].reshape(3, 2, 2)[:, ::-1].reshape(6, 2)
    crops = replace(crops_of(2, LABELS), xy=np.stack([exchanged, own + 3.0]))
    crops.xy[1, 7] += 30.0
    targets = targets_of(said, crops)
    # What is right but for a few px stays, what is far off is labelled.
    own[7] = crops.xy[1, 7]
    np.testing.assert_allclose(targets.xy[:, LANDMARKS].numpy(), np.stack([exchanged, own]), atol=1e-4)
    # With the arms go the hands; the feet stay.
    hands, feet = ([BLAZEPOSE33.index(f'{side}_{name}') for side in ('left', 'right')] for name in ('index', 'heel'))
    for landmarks, order in ((hands, hands[::-1]), (feet, feet)):
        np.testing.assert_array_equal(targets.xy[0, landmarks].numpy(), marks[0, order, :2].numpy())
        np.testing.assert_array_equal(targets.rest[0, landmarks].numpy(), marks[0, order, 2:].numpy())
    # A rehearsed crop keeps what was said.
    kept = targets_of(said, replace(crops, rehearsed=np.ones(2, bool)))
    np.testing.assert_array_equal(kept.xy[1].numpy(), marks[1, :, :2].numpy())
    assert float(kept.weight.max()) == pytest.approx(0.2)
    # So does a joint whose uncertainty is not known.
    vague = targets_of(said, replace(crops, sigma=np.full((2, 12), np.nan)))
    assert torch.isfinite(vague.xy).all() and float(vague.weight.max()) == pytest.approx(0.2)
    # Where it was far off, there is nothing to rehearse.
    lost = replace(crops, xy=crops.xy + 40.0, rehearsed=np.ones(2, bool))
    assert not targets_of(said, lost).weight.any()


def test_people_from_behind_count_as_those_from_the_front() -> None:
    front = np.array([[x + side, y] for x, y in [(100, 60), (90, 90), (90, 120), (110, 130), (110, 170), (110, 210)]
                      for side in (30, 0)], float)
    behind, lying = front[[1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]], front[:, ::-1] * (1.0, -1.0) + (0.0, 256.0)
    crops = crops_of(4, front)
    np.testing.assert_allclose(shares(crops), 0.25)
    mixed = replace(crops, xy=np.stack([front, front, behind, lying]))
    np.testing.assert_allclose(shares(mixed), np.array([1, 1, 3, 1]) / 6)
    # Where a hip is not known, neither is the side: such a crop counts as the middle of both.
    cut = np.where(np.arange(12)[:, None] == 6, np.nan, front)
    unsure = replace(crops, xy=np.stack([front, front, cut, behind]))
    np.testing.assert_allclose(shares(unsure), np.array([3, 3, 4, 6]) / 16)
    rare = shares(replace(crops_of(40, front), xy=np.stack([behind, *[front] * 39])))
    assert rare[0] / rare[1] == pytest.approx(39 / 40 / 0.1)


@pytest.mark.slow
def test_a_network_learns_labels_and_says_how_well(tiny: Path) -> None:
    untaught, network = load_network(tiny), load_network(tiny)
    train, test = crops_of(8, LABELS), crops_of(2, LABELS, seed=1)
    said: list[float] = []
    settings = TeachSettings(steps=25, batch=4, learning_rate=0.05)
    teach(network, train, settings, 0, lambda step, losses: said.append(losses['total']))
    assert said[-1] < 0.7 * said[0]
    before, after = check_detector(untaught, test), check_detector(network, test, train)
    assert after.mean_px < 0.7 * before.mean_px
    assert (before.crops, before.known().get('elsewhere_mean_px')) == (2, None)
    assert after.elsewhere_mean_px == pytest.approx(after.mean_px, rel=0.2)
    assert 'mean' in str(before) and 'other footage' in str(after)


def test_a_detector_that_is_no_better_or_forgot_is_refused() -> None:
    old = DetectorCheck(50, 20.0, 10.0, 12, 30.0, 5.0)
    assert detector_objections(old, replace(old, mean_px=19.0, exchanged=1, elsewhere_mean_px=30.5)) == []
    assert detector_objections(old, old) == ['the mean error of limb joints went from 20.0 to 20.0 px']
    assert detector_objections(old, replace(old, mean_px=10.0, exchanged=13, elsewhere_mean_px=31.0)) == [
        'exchanged arms and legs went from 12 to 13', 'the mean error on other footage went from 30.0 to 31.0 px',
    ]


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'operators|expected \{.landmarks'):
        load_network(onnx_models.double(tmp_path / 'other.onnx'))
