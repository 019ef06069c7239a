"""One rclpy for all live tests, on a domain of its own that nobody else on this network hears."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from geo_pose_ros.detection import base
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.io.middleware import large_data_environment

if find_spec('rclpy') is None:
    collect_ignore_glob = ['test_*.py']


@pytest.fixture(scope='session', autouse=True)
def ros() -> Iterator[None]:
    import rclpy

    os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randrange(1, 100))
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ.update(large_data_environment(os.environ))
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def rig_path(tmp_path: Path) -> str:
    from test.ros.harness import small_rig

    path = tmp_path / 'rig.yaml'
    path.write_text(dump_rig(small_rig()), encoding='utf-8')
    return str(path)


@pytest.fixture(autouse=True)
def pixel_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the default plugin be one that reads keypoints from pixels."""
    monkeypatch.setattr(base, '_PLUGINS', {**base._PLUGINS, 'blazepose': 'test.ros.harness:PixelDetector'})
