# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One rclpy for all live tests, on a domain of its own that nobody else on this network hears."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from geo_pose_ros.detection import base
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.io.middleware import large_data_environment

if find_spec('rclpy') is None:
    collect_ignore_glob = ['test_*.py', '*/test_*.py']


def domain_id() -> int:
    """Return a domain that no other run is likely to have, nor another worker of this one (pytest-xdist)."""
    run, worker = os.environ.get('PYTEST_XDIST_TESTRUNUID'), os.environ.get('PYTEST_XDIST_WORKER', 'gw0')
    base = random.SystemRandom().randrange(90) if run is None else random.Random(run).randrange(90)
    return 1 + (base + int(worker.removeprefix('gw'))) % 100


@pytest.fixture(scope='session', autouse=True)
def ros() -> Iterator[None]:
    import rclpy

    os.environ['ROS_DOMAIN_ID'] = str(domain_id())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ.update(large_data_environment(os.environ))
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def node() -> Iterator[object]:
    """Give a node of nobody's, for tools that talk to others."""
    from rclpy.node import Node

    made = Node('tool')
    yield made
    made.destroy_node()


@pytest.fixture
def rig_path(tmp_path: Path) -> str:
    from test.ros.harness import small_rig

    path = tmp_path / 'rig.yaml'
    path.write_text(dump_rig(small_rig()), encoding='utf-8')
    return str(path)


@pytest.fixture
def tell_transforms(node: Any) -> Callable[[], None]:
    """Return what tells on /tf_static where the cameras are."""
    from geo_pose_ros.messages.transforms import rig_to_transforms_stamped
    from geo_pose_ros.ros.io.qos import profile
    from test.ros.harness import MAKE, RIG

    kind = pytest.importorskip('tf2_msgs.msg').TFMessage
    publisher = node.create_publisher(kind, '/tf_static', profile(1, latched=True))
    return lambda: publisher.publish(kind(transforms=rig_to_transforms_stamped(MAKE, RIG, 0)))


@pytest.fixture(autouse=True)
def pixel_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the default plugin be one that reads keypoints from pixels."""
    monkeypatch.setattr(base, '_PLUGINS', {**base._PLUGINS, 'blazepose': 'test.ros.harness:PixelDetector'})
