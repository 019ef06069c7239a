# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The examples run, and say what they should."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.detection import base
from geo_pose_ros.rigs.rig_file import dump_rig

from ..evaluation.moving import pose, write_walk
from ..scenes import Seer, keypoints, ring_rig
from ..videos import film

EXAMPLES = Path(__file__).parents[2] / 'examples'
RIG = ring_rig(2)


def load_module(path):
    """Return a program as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(name):
    return load_module(EXAMPLES / f'{name}.py')


def see_walk(config):
    """Return a detector that sees the walk of ``moving``, whatever the image; 30 sets per second."""
    return Seer(lambda frame: keypoints(RIG, [pose(frame.stamp_ns / 1e9)], frame.stamp_ns)[frame.camera])


@pytest.fixture
def rig_file(tmp_path):
    path = tmp_path / 'rig.yaml'
    path.write_text(dump_rig(RIG))
    return path


def test_videos(rig_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(base, '_PLUGINS', {**base._PLUGINS, 'blazepose': f'{__name__}:see_walk'})
    for name in RIG.names:
        film(tmp_path / f'{name}.mp4', 6, 30.0)
    example('videos').main(str(rig_file), str(tmp_path / 'cam0.mp4'), str(tmp_path / 'cam1.mp4'))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 5 and all('body 0, pelvis at' in line for line in lines)
    x, y, z = map(float, re.search(r'\[(.*)\] m', lines[-1])[1].split())
    assert np.linalg.norm(np.array([x, y, z]) - pose(5 / 30.0)[0]) < 0.1


def test_own_detector(rig_file, capsys):
    example('own_detector').main(str(rig_file))
    assert re.fullmatch(r'(0\.\d{3} s: \d bodies\n){3}', capsys.readouterr().out)


def test_read_bag(tmp_path, capsys):
    write_walk(tmp_path / 'walk', sets=4)
    example('read_bag').main(str(tmp_path / 'walk'))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'cameras: cam0, cam1, cam2, cam3' and len(lines) == 5
    wrist = pose(0.0)[13]
    assert f'left wrist [{wrist[0]:.2f}' in lines[1].replace('[ ', '[') and '+- 2.0 cm' in lines[1]


@pytest.mark.parametrize('path', sorted(EXAMPLES.glob('*.py')), ids=lambda p: p.stem)
def test_every_example_says_what_it_is_for_and_is_short(path):
    _, text = path.read_text().split('\n', 1)
    assert text.startswith('"""') and f'{path.name} ' in text.split('"""')[1]
    assert len(text.splitlines()) <= 50
