# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Training data from bags the test writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from geo_pose_training.data.bag import load_people, parse_range
from geo_pose_training.data.sources import load_all, parse_sources

from geo_pose_ros.detection import stage
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Frame, Keypoints2D
from test.recorded import write_scene
from test.scenes import Seer, ring_rig
from test.training.people import recorded_person, write_bag


def test_recorded_keypoints_come_back(tmp_path: Path) -> None:
    seen = recorded_person(frames=6, cameras=3)
    write_bag(tmp_path / 'walk', seen, lost=(2, 1))
    (source,) = parse_sources([f'{{bag: {tmp_path / "walk"}, cameras: [cam0, cam1, cam2], frames: 1-5}}'])
    (found,) = load_all([source], test=False)
    wanted = seen.xy[1:5].copy()
    wanted[1, 1] = np.nan
    np.testing.assert_allclose(found.xy, wanted, atol=1e-4)
    assert (found.confidence[1, 1] == 0.0).all()
    assert found.fps == pytest.approx(30.0, rel=1e-3)
    np.testing.assert_allclose(found.rig['cam2'].cam_from_world, seen.rig['cam2'].cam_from_world, atol=1e-6)


def test_several_people_are_told_apart(tmp_path: Path) -> None:
    """Each is one recording of the same frames; who passes by, or is seen by one camera, is none."""
    stays, comes = recorded_person(frames=60, seed=1), recorded_person(frames=60, seed=2, aside_m=1.6)
    passes = recorded_person(frames=60, seed=3, aside_m=-1.6)
    for person, seen in ((comes, slice(0, 20)), (passes, slice(25, 60))):
        person.confidence[seen] = 0.0
        person.xy[seen] = np.nan
    write_bag(tmp_path / 'walk', stays, comes, passes)
    first, second = load_people(tmp_path / 'walk')
    assert (first.name, second.name) == ('walk', 'walk, person 2')
    assert first.action == second.action == 'walk'
    np.testing.assert_allclose(first.xy, stays.xy, atol=1e-3)
    assert len(second) == 60 and not (second.confidence[:20] > 0.0).any()
    # Somebody new is known after a few sets.
    there = (second.confidence > 0.0).all((1, 2))
    assert there[25:].all()
    np.testing.assert_allclose(second.xy[there], comes.xy[there], atol=1e-3)
    # Ranges are of the recording; who is not there is left out.
    assert [person.name for person in load_people(tmp_path / 'walk', frames=slice(0, 20))] == ['walk']


def test_images_are_detected_once_and_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def see(frame: Frame) -> Keypoints2D:
        """Every joint lies at the image's brightness."""
        seen.append(frame.stamp_ns)
        xy = np.full((1, 17, 2), round(float(frame.image.mean())))
        return Keypoints2D(frame.camera, frame.stamp_ns, BODY17, xy, np.ones((1, 17)))

    monkeypatch.setattr(stage, 'create_detector', lambda config: Seer(see))
    write_scene(tmp_path / 'walk', frames=3, rig=ring_rig(2))
    for _ in range(2):
        (found,) = load_people(tmp_path / 'walk')
        np.testing.assert_allclose(found.xy[:, 0, 0, 0], (20.0, 35.0, 50.0), atol=1.0)
    assert len(seen) == 6


def test_ranges(tmp_path: Path) -> None:
    assert parse_range('') == slice(None)
    assert parse_range('3-') == slice(3, None)
    assert parse_range('-7') == slice(0, 7)
    for text in ('7', 'a-b', '-'):
        with pytest.raises(ConfigError, match='range'):
            parse_range(text)
    write_bag(tmp_path / 'walk', recorded_person(frames=2, cameras=2))
    with pytest.raises(BagError, match='has 2 sets'):
        load_people(tmp_path / 'walk', frames=slice(5, 9))
    with pytest.raises(BagError, match='attic'):
        load_people(tmp_path / 'walk', cameras=('attic',))


def test_a_rig_file_replaces_the_calibration_of_the_bag(tmp_path: Path) -> None:
    seen = recorded_person(frames=2, cameras=3)
    write_bag(tmp_path / 'walk', seen)
    # Everything lies 1 m to the side.
    moved = seen.rig.with_poses(lambda cam_from_world: cam_from_world + cam_from_world[:, :1] * (0, 0, 0, 1))
    (tmp_path / 'rig.yaml').write_text(dump_rig(moved))
    text = f'{{bag: {tmp_path / "walk"}, rig: {tmp_path / "rig.yaml"}, cameras: [cam2, cam0]}}'
    (found,) = load_all(parse_sources([text]), test=True)
    assert found.rig.names == ('cam2', 'cam0')
    np.testing.assert_allclose(found.cam_from_world, [moved[name].cam_from_world for name in ('cam2', 'cam0')])
