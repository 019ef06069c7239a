# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From videos to files: what is stated where, what is done twice, what cannot be done. The demo's footage is slow."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.bags.fleet import Outcome
from geo_pose_ros.cli import main
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.session.folder import load
from geo_pose_ros.session.run import find_task, run_task

from ..bags.test_calibrate import write_bag
from ..calibration.walking import walk
from ..videos import write_two_videos


def test_a_folder_is_a_task_and_its_file_says_the_rest(tmp_path):
    folder = write_two_videos(tmp_path, 'rig.yaml')
    (folder / 'geo_pose.yaml').write_text(
        'calibration: rig.yaml\nformats: [bvh]\nsettings: {pipeline.detector.profile: fast, smoothing.lowpass_hz: 6}\n')
    task = find_task([folder], None)
    assert [video.name for video in task.videos] == ['cam0.mp4', 'cam1.mp4'] and task.out == folder / 'session'
    assert task.calibration == folder / 'rig.yaml' and task.formats == ('bvh',)
    config = task.config
    assert config.smoothing.enabled and config.smoothing.lowpass_hz == 6.0
    assert config.pipeline.detector.profile == 'fast'
    # What is given goes before.
    assert find_task([folder], None, formats=['csv'], stature_m=None).formats == ('csv',)


@pytest.mark.parametrize(('text', 'says'), [
    ('calibratoin: x', r"unknown calibratoin; known: calibration, from_scratch"), ('- a', 'unknown list'),
    ('{', 'is not YAML'),
], ids=['typo', 'list', 'no yaml'])
def test_a_wrong_geo_pose_yaml_is_refused(tmp_path, text, says):
    folder = write_two_videos(tmp_path, 'rig.yaml')
    (folder / 'geo_pose.yaml').write_text(text)
    with pytest.raises(ConfigError, match=says):
        find_task([folder], None)


def test_missing_files_and_folders_without_videos_are_named(tmp_path):
    with pytest.raises(BagError, match=r'There is no file nope\.mp4'):
        find_task([Path('nope.mp4')], None)
    with pytest.raises(BagError, match='has no video'):
        find_task([tmp_path], None)


def test_the_calibration_beside_the_videos_is_used_and_without_one_the_people_must_be_asked_for(tmp_path):
    folder = write_two_videos(tmp_path, 'rig.yaml')
    assert find_task([folder], None).calibration == folder / 'rig.yaml'
    (folder / 'notes.txt').write_text('a notebook')
    shutil.copy(folder / 'rig.yaml', folder / 'older.yaml')
    with pytest.raises(ConfigError, match=r'has several calibrations: older\.yaml, rig\.yaml\. Name one'):
        find_task([folder], None)
    assert find_task([folder], None, from_scratch=True).calibration is None
    (folder / 'older.yaml').unlink()
    (folder / 'rig.yaml').unlink()
    with pytest.raises(ConfigError, match='There is no calibration: give one with --calibration, or --from-scratch'):
        run_task(find_task([folder], tmp_path / 'out'))
    assert 'There is no calibration' in find_task([folder], tmp_path / 'out').run().error


def test_one_command_makes_a_session_and_does_not_make_it_twice(tmp_path, capsys, monkeypatch):
    folder = write_two_videos(tmp_path, 'rig.yaml')
    words = ['run', str(folder), '--calibration', str(folder / 'rig.yaml'), '--set', 'pipeline.detector.profile=fast',
             '--set', 'smoothing.lowpass_hz=6']
    assert main(words) == 0
    said = capsys.readouterr().out
    assert 'nobody' in said and f'geo_pose view {folder}/session/processed' in said
    assert (folder / 'session' / 'report.html').is_file()
    monkeypatch.setattr('geo_pose_ros.commands.session.run.run_task', lambda *_: pytest.fail('made again'))
    assert main(words) == 0
    assert find_task([folder], None, formats=['bvh']).done() is None
    (folder / 'session' / 'session.json').write_text('{}')
    with pytest.raises(pytest.fail.Exception):
        main(words)


@pytest.mark.slow
def test_cameras_are_found_from_the_people_and_the_session_is_made_with_them(tmp_path, monkeypatch):
    """What a detector found in the videos stands in for them."""
    for name in ('cam0', 'cam1', 'cam2'):
        (tmp_path / f'{name}.mp4').touch()
    monkeypatch.setattr('geo_pose_ros.session.run.import_videos', lambda videos, rig, out, overwrite: write_bag(
        out, walk(20.0), transforms=False))
    said = []
    task = find_task([tmp_path], None, from_scratch=True, stature_m=1.75, formats=['csv', 'bvh'],
                     settings={'pipeline.detector.name': 'keypoints'})
    outcome = run_task(task, said.append)
    assert said[:4] == ['reading the videos', 'finding the cameras from the people', 'finding people',
                        'report and export']
    assert re.fullmatch(r'[\d.]+ s: reading the videos [\d.]+, .*; [\d.]+ times what geo_pose process takes', said[4])
    assert outcome.headline.startswith('1 person') and outcome.seconds > 0.0 and outcome.reprojection_px < 5.0
    assert task.done() == outcome
    assert len(read_calibration(task.out / 'calibration.yaml')) == 3
    bodies = load(task.out)
    # The stature gives the size: this man's legs.
    thighs = np.linalg.norm(bodies.xyz[:, 0, 5] - bodies.xyz[:, 0, 4], axis=-1)
    assert np.nanstd(thighs) < 0.02 and 0.35 < np.nanmedian(thighs) < 0.55
    assert {path.suffix for path in (task.out / 'export').iterdir()} == {'.csv', '.bvh'}


def test_many_sessions_have_one_page(tmp_path, capsys, monkeypatch):
    for name in ('a', 'b'):
        (tmp_path / 'in' / name).mkdir(parents=True)
        write_two_videos(tmp_path / 'in' / name, 'rig.yaml')

    def fleet(jobs, out, **_):
        assert [job.out for job in jobs] == [tmp_path / 'out' / 'a', tmp_path / 'out' / 'b']
        jobs[0].out.mkdir(parents=True)
        outcome = Outcome(str(jobs[0].bag), str(jobs[0].out), '', 120, 110, 7.31, 92.0, '', '1 person')
        return [outcome, Outcome(str(jobs[1].bag), str(jobs[1].out), 'no camera <b>')]

    monkeypatch.setattr('geo_pose_ros.commands.session.run.process_fleet', fleet)
    assert main(['run', str(tmp_path / 'in' / '*'), '--out', str(tmp_path / 'out')]) == 2
    page = (tmp_path / 'out' / 'index.html').read_text()
    text = ' '.join(re.sub('<[^>]+>', ' ', page.split('<tbody>')[1]).split())
    assert '<a href="a/report.html">a</a>' in page and 'b/report.html' not in page
    assert text.startswith('a 1 person 120 7.3 1.5 b failed: no camera &lt;b&gt;')
