# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is held out, what speaks against a new lifter, and that it does not forget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geo_pose_training.data.bank import Bank
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.evaluation.metrics import pose_errors_mm
from geo_pose_training.evaluation.predictor import Predictor, SigmaScale
from geo_pose_training.feed import Feed
from geo_pose_training.model import InputWindow, Lifter
from geo_pose_training.retraining.check import Check, check, held_out_sigma_factor, objections
from geo_pose_training.retraining.hold_out import all_held_out, hold_out
from geo_pose_training.retraining.rehearsal import rehearsal_bank, rehearsal_people
from geo_pose_training.retraining.retrain import fine_tune
from geo_pose_training.settings import ModelSettings, Recipe, load_recipe
from numpy.typing import NDArray

from geo_pose_ros.errors import ConfigError
from test.training.people import recorded_person


def test_the_last_frames_and_the_last_camera_are_held_out() -> None:
    whole = recorded_person(frames=30)
    kept = hold_out(whole)
    assert (kept.camera, kept.trained_on) == ('cam3', ('cam0', 'cam1', 'cam2'))
    assert (len(kept.training), kept.training.rig.names) == (18, ('cam0', 'cam1', 'cam2'))
    assert len(whole.xy[kept.test]) == 12
    # With two cameras both are needed.
    two = hold_out(whole.views(('cam0', 'cam1')))
    assert (two.camera, two.trained_on) == ('', ('cam0', 'cam1'))
    assert (all_held_out(whole).camera, all_held_out(two.whole).camera) == ('cam3', '')
    chosen = hold_out(whole, cameras=('cam3', 'cam1'), train=slice(0, 5), test=slice(5, 8))
    assert (chosen.camera, len(chosen.training), len(whole.xy[chosen.test])) == ('cam2', 5, 3)


def test_frames_are_held_out_of_the_time_that_somebody_is_there() -> None:
    comes_late = recorded_person(frames=30)
    comes_late.confidence[:20] = comes_late.confidence[28:] = 0.0
    kept = hold_out(comes_late)
    assert (kept.train, kept.test) == (slice(20, 25), slice(25, 28))
    comes_late.confidence[:] = 0.0
    assert hold_out(comes_late).test == slice(18, 30)


def test_what_cannot_be_held_out_is_refused() -> None:
    whole = recorded_person(frames=10)
    with pytest.raises(ConfigError, match='is trained on'):
        hold_out(whole, camera='cam1', cameras=('cam0', 'cam1'))
    with pytest.raises(ConfigError, match='labels need two cameras to train on; received cam0'):
        hold_out(whole, cameras=('cam0',))
    with pytest.raises(ConfigError, match='none to test on'):
        hold_out(whole, test=slice(10, 20))
    lifter = Lifter(17, ModelSettings(width=16, blocks=1)).eval()
    gone = replace(whole, xy=np.where(np.arange(4)[None, :, None, None] == 3, np.nan, whole.xy))
    with pytest.raises(ConfigError, match='No camera that is kept aside shows a whole person'):
        check(Predictor.of_lifter(lifter), [hold_out(gone)])


def test_only_a_lifter_that_is_better_and_has_not_forgotten_is_better() -> None:
    old = Check(10, 100.0, 60.0, 20.0, 90.0, 80.0)
    assert objections(old, replace(old, mpjpe_mm=98.0, p_mpjpe_mm=59.0, elsewhere_mm=82.0)) == []
    assert objections(old, replace(old, mpjpe_mm=98.0, p_mpjpe_mm=59.0, elsewhere_mm=83.0)) == [
        'MPJPE of other people went from 80.0 to 83.0 mm'
    ]
    assert objections(old, old) == ['MPJPE went from 100.0 to 100.0 mm', 'P-MPJPE went from 60.0 to 60.0 mm']
    assert objections(old, replace(old, mpjpe_mm=99.5, p_mpjpe_mm=50.0)) == ['MPJPE went from 100.0 to 99.5 mm']
    assert objections(replace(old, elsewhere_mm=float('nan')), replace(old, mpjpe_mm=1.0, p_mpjpe_mm=1.0)) == []


def _rehearsal(teacher: Predictor, source: PersonRecording, recipe: Recipe, seed: int) -> Bank:
    people = rehearsal_people(teacher, [source], recipe, recipe.optim.rehearsal_poses, seed)
    return rehearsal_bank(teacher, people, recipe, seed)


def _tuned(folder: Path, rehearse: bool) -> tuple[float, float, float]:
    """Return the error on the recording before and after, and how far the output moved for other people, mm."""
    torch.manual_seed(0)
    settings = {'model.width': 32, 'model.blocks': 1, 'model.gravity': True, 'optim.steps': 60, 'optim.batch': 64}
    recipe = load_recipe('retrain', {**settings, 'optim.learning_rate': 0.003, 'optim.rehearsal_poses': 150})
    lifter = Lifter(17, recipe.model).eval()
    # Batch norm is kept as it is: it must know the data.
    others = _rehearsal(Predictor.of_lifter(lifter), recorded_person(frames=15, seed=9), recipe, 5)
    lifter.train()(others.pose2d[:, :1].flatten(0, 1)[:, None], others.view.flatten(0, 1))
    lifter.eval()
    kept = hold_out(recorded_person(frames=20))
    before = check(Predictor.of_lifter(lifter), [kept])
    teacher = Predictor.of_lifter(lifter)
    said, _ = teacher(others.pose2d.numpy(), others.view[:, 0].numpy())
    bank = _rehearsal(teacher, kept.training, recipe, 0) if rehearse else None
    fine_tune(lifter, Feed.in_memory([kept.training], recipe, 0), recipe, folder, rehearsal=bank)
    after = check(Predictor.of_lifter(lifter), [kept])
    now, _ = Predictor.of_lifter(lifter)(others.pose2d.numpy(), others.view[:, 0].numpy())
    return before.mpjpe_mm, after.mpjpe_mm, float(pose_errors_mm(now, said)['mpjpe'].mean())


def test_rehearsal_keeps_what_the_lifter_said_of_others(tmp_path: Path) -> None:
    before, plain, moved = _tuned(tmp_path / 'plain', rehearse=False)
    _, rehearsed, kept = _tuned(tmp_path / 'rehearsed', rehearse=True)
    assert max(plain, rehearsed) < before
    assert kept < 0.75 * moved


def test_people_to_rehearse_with_are_in_poses_that_the_lifter_knows() -> None:
    recipe = load_recipe('retrain', {'model.gravity': True})
    window = InputWindow.of(recipe.model, recipe.data.up)
    # It knows one pose only, 1 m above the pelvis.
    only = np.zeros((17, 3), np.float32)
    only[1:, 1] = -np.linspace(0.1, 1.0, 16)

    def teacher(pose2d: NDArray[np.float32], view: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        return np.broadcast_to(only, (len(pose2d), 17, 3)).copy(), np.ones((len(pose2d), 17), np.float32)

    people = rehearsal_people(Predictor(teacher, window), [recorded_person(frames=20)], recipe, 100, 4)
    # The recording's own frames are made-up people as well.
    assert sum(map(len, people)) == 100
    assert {len(one.rig) for one in people} == {4}
    truth = np.concatenate([one.truth for one in people if one.truth is not None])
    bones = truth[:, 1:] - truth[:, :1]
    lengths = np.linalg.norm(bones, axis=-1)
    shape = np.broadcast_to(np.linspace(0.1, 1.0, 16), (100, 16))
    np.testing.assert_allclose(lengths / lengths[:, -1:], shape, atol=0.1)
    again = rehearsal_people(Predictor(teacher, window), [recorded_person(frames=20)], recipe, 100, 4)
    np.testing.assert_array_equal(again[0].xy, people[0].xy)


def test_sigma_is_calibrated_on_the_camera_that_was_held_out() -> None:
    torch.manual_seed(0)
    lifter = Lifter(17, ModelSettings(width=16, blocks=1)).eval()
    kept = hold_out(recorded_person(frames=20))
    factor = held_out_sigma_factor(Predictor.of_lifter(lifter), [kept])
    # An untrained network is wrong by half a metre and says 0.08.
    assert factor > 1.5
    # What was trained on makes nobody surer.
    unsure = Predictor.of_lifter(lifter, SigmaScale(seen=100.0, hidden=100.0))
    assert held_out_sigma_factor(unsure, [kept]) == 1.0
    assert held_out_sigma_factor(Predictor.of_lifter(lifter), [hold_out(recorded_person(frames=20, cameras=2))]) == 1.0
