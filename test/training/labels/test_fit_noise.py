# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The noise model is found again in what it made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from geo_pose_training.cli import main
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.data.sources import load_all, parse_sources
from geo_pose_training.data.synthetic import synthesise
from geo_pose_training.labels.fit_noise import fit_noise

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.simulation.detector import NoiseSettings
from geo_pose_ros.simulation.motion import MotionClip
from test.scenes import ring_rig
from test.training.people import moving_person, recorded_person, write_bag


def _seen(noise: NoiseSettings, frames: int = 300) -> PersonRecording:
    clip = MotionClip('a/walk_1', moving_person(frames), 30.0)
    return synthesise(clip, 'ring', ring_rig(4), noise, 3)


def test_the_parameters_come_back() -> None:
    made = NoiseSettings(
        jitter=0.006, jitter_unsure=0.04, outlier_rate=0.04, outlier_reach=0.3, swap_rate=0.03, missing_rate=0.05,
        burst_frames=4.0, memory=0.6,
    )
    found = fit_noise([_seen(made)])
    assert found.jitter + 0.15 * found.jitter_unsure == pytest.approx(0.006 + 0.15 * 0.04, rel=0.2)
    assert found.jitter_unsure == pytest.approx(0.04, rel=0.4)
    # Of the outliers within the bound, those that jitter hides are not told apart.
    assert found.outlier_rate == pytest.approx(0.04, rel=0.4)
    assert found.outlier_reach == pytest.approx(0.3, rel=0.2)
    assert found.missing_rate == pytest.approx(0.05, abs=0.015)
    assert found.swap_rate == pytest.approx(0.03, abs=0.02)
    assert found.memory == pytest.approx(0.6, abs=0.15)
    assert 2.0 < found.burst_frames < 6.0


def test_too_little_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'0 joints were seen by three cameras or more, expected at least 200'):
        fit_noise([recorded_person(frames=30, cameras=2)])


def test_the_command_writes_what_training_reads(
    motion: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path / 'walk', recorded_person(frames=30, noise_px=4.0))
    file = tmp_path / 'noise.yaml'
    assert main(['fit-noise', str(tmp_path / 'walk'), '--out', str(file)]) == 0
    found = yaml.safe_load(file.read_text())
    # All are of confidence 1: nothing is known about others.
    assert found['jitter_unsure'] == 0.0
    assert 0.004 < found['jitter'] < 0.016
    assert 'jitter ' in capsys.readouterr().out
    usual, fitted = (
        load_all(parse_sources([text]), test=False)[0] for text in (motion, f'{motion[:-1]}, noise: {file}}}')
    )
    assert not np.array_equal(usual.xy, fitted.xy, equal_nan=True)
    with pytest.raises(ConfigError, match=r"Noise 'none.yaml' does not exist; give none"):
        load_all(parse_sources([f'{motion[:-1]}, noise: none.yaml}}']), test=False)
