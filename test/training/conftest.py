# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Files that several tests of training read, written once, and a trained lifter."""

from __future__ import annotations

from pathlib import Path

import pytest
from geo_pose_training.cli import main

from test.scenes import ring_rig
from test.training.people import write_motion, write_rigs

# Settings of a run of some milliseconds.
TINY = {'model.width': 32, 'model.blocks': 1, 'optim.batch': 16, 'optim.steps': 4, 'optim.steps_per_epoch': 2}

# The same of a run from a store.
TINY_STREAM = {
    'model.width': 16, 'model.blocks': 1, 'optim.steps': 4, 'optim.steps_per_epoch': 2, 'optim.batch': 32,
    'stream.pieces': 4, 'stream.lanes': 2,
}


def set_options(settings: dict[str, object]) -> list[str]:
    """Return settings as --set arguments."""
    return [part for name, value in settings.items() for part in ('--set', f'{name}={value}')]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture(scope='session')
def motion(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a data source: two clips before one rig."""
    folder = tmp_path_factory.mktemp('motion')
    return f"{{motion: {write_motion(folder)}, rigs: {write_rigs(folder / 'rigs.json', {'ring': ring_rig()})}}}"


@pytest.fixture(scope='session')
def tiny_run(motion: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of the recipe geo; not to be changed."""
    folder = tmp_path_factory.mktemp('run') / 'tiny'
    command = ['train', '--recipe', 'geo', '--data', motion, '--out', str(folder), *set_options(TINY), '--quiet']
    assert main(command) == 0
    return folder


@pytest.fixture(scope='session')
def tiny_model(tiny_run: Path) -> Path:
    """Return the exported lifter of that run; not to be changed."""
    model = tiny_run.with_name('tiny.onnx')
    assert main(['models', 'export', str(tiny_run), '--out', str(model)]) == 0
    return model
