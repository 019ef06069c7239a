# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Data sources as YAML, and synthetic recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.data.sources import BagSource, MotionSource, describe, load_all, parse_sources
from geo_pose_training.data.synthetic import load_rigs, room_centre, synthesise

from geo_pose_ros.errors import CalibrationError, ConfigError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.simulation.detector import CLEAN
from geo_pose_ros.simulation.motion import MotionClip
from test.scenes import ring_rig
from test.training.people import moving_person, write_motion, write_rigs


def _loaded(text: str, test: bool = False) -> list[PersonRecording]:
    return load_all(parse_sources([text]), test=test)


def _with(text: str, option: str) -> str:
    return f'{text[:-1]}, {option}}}'


def test_sources_are_yaml_text_a_file_or_short() -> None:
    assert parse_sources(['bag:/my, own/walk']) == [BagSource('/my, own/walk')]
    text = '{bag: walk, cameras: [x, y], frames: 0-70}'
    (found,) = parse_sources([text])
    assert found == BagSource('walk', cameras=('x', 'y'), frames='0-70')
    assert describe(found) == text
    assert parse_sources([describe(found)]) == [found]


def test_a_file_lists_sources(tmp_path: Path) -> None:
    (tmp_path / 'data.yaml').write_text('- motion: m.npz\n  ceiling: 7\n  noise: none\n- bag: walk\n')
    assert parse_sources([str(tmp_path / 'data.yaml'), 'bag:b']) == [
        MotionSource('m.npz', ceiling=7, noise='none'), BagSource('walk'), BagSource('b')
    ]


@pytest.mark.parametrize(('text', 'words'), [
    ('video:x', 'the kind first, one of h36m, mpi, bag, motion, store'),
    ('motion', 'and its path'),
    ('{video: x}', 'the kind first'),
    ('{motion: x, colour: red}', 'colour'),
    ('[', 'is no YAML'),
    ('none.yaml', 'does not exist'),
], ids=['kind', 'no path', 'first name', 'option', 'syntax', 'file'])
def test_text_that_names_no_source_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_sources([text])


def test_motion_splits_by_validation(motion: str) -> None:
    (train,), (test,) = _loaded(motion), _loaded(motion, test=True)
    assert (train.name, len(train)) == ('ring/a/walk_1', 20)
    assert (test.name, len(test)) == ('ring/a/run_1', 10)
    assert [s.name for s in _loaded(_with(motion, 'clips: [b, a]'))] == ['ring/a/walk_1']
    with pytest.raises(ConfigError, match='no training clips'):
        _loaded(_with(motion, 'clips: [b]'))
    clean = _loaded(_with(motion, 'noise: none'))[0]
    assert not np.array_equal(clean.xy, train.xy, equal_nan=True)


def test_motion_before_a_ceiling_rig_needs_no_other(tmp_path: Path) -> None:
    path = write_motion(tmp_path)
    (under,) = _loaded(f'{{motion: {path}, ceiling: 7}}', test=True)
    assert under.rig.names == ('ceiling1', 'ceiling2', 'ceiling3', 'ceiling4')
    for options in ('', ', ceiling: 7, rigs: x.json'):
        with pytest.raises(ConfigError, match='needs rigs'):
            _loaded(f'{{motion: {path}{options}}}')


def test_rigs_are_named_and_read_from_json(motion: str, tmp_path: Path) -> None:
    rig = load_rigs(write_rigs(tmp_path / 'rigs.json', {'ring': ring_rig()}))['ring']
    np.testing.assert_allclose(rig['cam2'].cam_from_world, ring_rig()['cam2'].cam_from_world)
    with pytest.raises(ConfigError, match=r"no rig \['attic'\]"):
        _loaded(_with(motion, 'only: [attic]'))
    (tmp_path / 'bad.json').write_text('{"rig": {"cam": {}}}')
    with pytest.raises(CalibrationError, match=r'bad\.json'):
        load_rigs(tmp_path / 'bad.json')


def test_synthesis_is_seeded_and_truthful() -> None:
    clip = MotionClip('a/walk_1', moving_person(30), 30.0)
    a, b, other = (synthesise(clip, 'ring', ring_rig(), CLEAN, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.xy, b.xy)
    assert a.truth is not None
    seen = project_world(a.rig.cameras[1], a.truth)
    inside = np.isfinite(a.xy[:, 1])
    assert inside.mean() > 0.9
    np.testing.assert_allclose(a.xy[:, 1][inside], seen[inside])
    assert not np.array_equal(a.xy, other.xy)
    assert a.action == 'walk'


def test_room_centre_of_a_ring_is_its_middle() -> None:
    np.testing.assert_allclose(room_centre(ring_rig()), 0.0, atol=1e-6)
