# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The demo's footage: cached, checked, or refused with what to do."""

import hashlib
import subprocess
import zipfile

import pytest

from geo_pose_ros.demo import footage
from geo_pose_ros.errors import BagError


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A small wheel of the same layout in the cache, with its hash made the expected one."""
    path = tmp_path / footage._WHEEL
    with zipfile.ZipFile(path, 'w') as archive:
        for name in ('videos/cam02.mp4', 'videos/cam01.mp4', 'calibration/Calib.qca.txt', 'Config.toml'):
            archive.writestr(f'Pose2Sim/Demo_SinglePerson/{name}', name)
    monkeypatch.setattr(footage, '_SHA256', hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_unpacks_videos_and_calibration_once(tmp_path, wheel):
    found = footage.fetch_footage(tmp_path)
    assert [v.name for v in found.videos] == ['cam01.mp4', 'cam02.mp4']
    assert found.calibration.read_text() == 'calibration/Calib.qca.txt'
    assert not list(tmp_path.rglob('Config.toml'))
    wheel.unlink()
    assert footage.fetch_footage(tmp_path) == footage.fetch_footage(tmp_path, 'Demo_SinglePerson') == found


def test_another_file_is_refused(tmp_path, wheel):
    wheel.write_bytes(b'cut off')
    with pytest.raises(BagError, match=r'has sha256 .* expected .*; delete it and run the demo again'):
        footage.fetch_footage(tmp_path)
    assert not list(tmp_path.glob('*/Demo*'))


def test_an_unknown_scene_and_a_failed_download_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(BagError, match="No demo scene 'Demo_Batch'; there is: person, people"):
        footage.fetch_footage(tmp_path, 'Demo_Batch')

    def fail(command, **_):
        return subprocess.CompletedProcess(command, 1, '', 'ERROR: first\nERROR: No matching distribution\n')

    monkeypatch.setattr(footage.subprocess, 'run', fail)
    with pytest.raises(BagError, match=r'could not be downloaded: ERROR: No matching distribution\. Check the network'):
        footage.fetch_footage(tmp_path)
