# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The launch files under the real launch, where it is installed with this package (after colcon build)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from geo_pose_ros.rigs.rig_file import dump_rig
from test.ros.harness import RIG
from test.ros.tools.test_play_record import bag

__all__ = ['bag']


def is_built() -> bool:
    """Return whether this package is in ROS's index of packages."""
    try:
        get_package_prefix('geo_pose_ros')
    except (PackageNotFoundError, OSError):
        # OSError: no workspace at all.
        return False
    return True


pytestmark = pytest.mark.skipif(
    find_spec('launch_ros') is None or not is_built(), reason='launch_ros or this package is not built'
)
# What `ros2 launch geo_pose_ros FILE NAME:=VALUE ...` does.
LAUNCH = """
import sys
from pathlib import Path
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
path = Path(get_package_share_directory('geo_pose_ros')) / 'launch' / sys.argv[1]
arguments = [tuple(each.split(':=', 1)) for each in sys.argv[2:]]
service = LaunchService(argv=sys.argv[2:], noninteractive=True)
service.include_launch_description(LaunchDescription([
    IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)), launch_arguments=arguments)
]))
sys.exit(service.run())
"""


class Launched:
    """A launch that runs, and what it prints."""

    def __init__(self, file: str, arguments: dict[str, str], prefix: Path | None) -> None:
        prefixes = [*([str(prefix)] if prefix else []), os.environ['AMENT_PREFIX_PATH']]
        self.process = subprocess.Popen(
            [sys.executable, '-c', LAUNCH, file, *(f'{name}:={value}' for name, value in arguments.items())],
            env={**os.environ, 'AMENT_PREFIX_PATH': os.pathsep.join(prefixes)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.lines: list[str] = []

    def says(self, pattern: str) -> re.Match[str]:
        """Read up to a line in which ``pattern`` is found."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f'{pattern} among {self.lines}')

    def end(self) -> str:
        """Interrupt it once and return all it printed after what was read."""
        self.process.send_signal(signal.SIGINT)
        rest = self.process.communicate(timeout=30)[0]
        assert self.process.returncode == 0, rest
        return str(rest)


@contextmanager
def launched(file: str, prefix: Path | None = None, **arguments: str) -> Iterator[Launched]:
    running = Launched(file, arguments, prefix)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGINT)
            running.process.communicate(timeout=30)


def test_arguments_reach_the_node_and_ctrl_c_ends_it(rig_path: str) -> None:
    arguments = {'rig': rig_path, 'transport': 'keypoints', 'cameras': "['cam0', 'cam2']", 'namespace': 'robot1'}
    with launched('geo_pose.launch.py', **arguments) as running:
        running.says(r'robot1\.pose_node\]: active: 2 cameras \(cam0, cam2\), transport keypoints, rig .*rig\.yaml')
        rest = running.end()
    assert '0 frames in, 0 sets published' in rest
    assert 'process has finished cleanly' in rest
    assert 'Traceback' not in rest


def test_a_killed_node_is_started_again(rig_path: str) -> None:
    with launched('geo_pose.launch.py', rig=rig_path, transport='keypoints', use_respawn='true') as running:
        first = int(running.says(r'\[pose_node-1\]: process started with pid \[(\d+)\]')[1])
        running.says('active: 4 cameras')
        os.kill(first, signal.SIGKILL)
        running.says('process has died')
        assert int(running.says(r'\[pose_node-1\]: process started with pid \[(\d+)\]')[1]) != first
        running.says('active: 4 cameras')
        assert 'process has finished cleanly' in running.end()


def test_a_bag_is_played_into_the_node(rig_path: str, bag: Path) -> None:
    with launched('geo_pose.launch.py', rig=rig_path, bag=str(bag)) as running:
        running.says('active: 4 cameras')
        running.says(r'\[geo_pose_play-2\]: process started|Nobody subscribed to')
        rest = running.end()
    assert rest.count('process has finished cleanly') == 2, rest


def test_four_drivers_and_the_node(tmp_path: Path) -> None:
    """The drivers are stood in for by what prints its arguments, to stderr as ROS logs, and waits."""
    names = [f'cam0{number}' for number in range(1, 5)]
    rig = tmp_path / 'rig.yaml'
    cameras = tuple(replace(camera, name=name) for camera, name in zip(RIG.cameras, names, strict=True))
    rig.write_text(dump_rig(replace(RIG, cameras=cameras)), encoding='utf-8')
    node = tmp_path / 'prefix' / 'lib' / 'usb_cam' / 'usb_cam_node_exe'
    node.parent.mkdir(parents=True)
    node.write_text('#!/bin/sh\nfor last; do :; done\necho "$@" $(cat "$last") >&2\nexec sleep 60\n')
    node.chmod(0o755)
    marker = tmp_path / 'prefix' / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'usb_cam'
    marker.parent.mkdir(parents=True)
    marker.touch()
    arguments = {'video1': '/dev/left', 'transport': 'keypoints', 'calibration': str(tmp_path)}
    with launched('four_cameras.launch.py', tmp_path / 'prefix', rig=str(rig), **arguments) as running:
        running.says(r'active: 4 cameras \(cam01, cam02, cam03, cam04\), transport keypoints')
        running.end()
    printed = ''.join(running.lines)
    for name in names:
        assert f'-r __node:=driver -r __ns:=/{name}' in printed
        assert f'frame_id: {name}_optical_frame' in printed
        assert f'camera_info_url: file://{tmp_path}/{name}.yaml' in printed
    assert 'video_device: /dev/left' in printed and 'video_device: /dev/video6' in printed


def test_detectors_of_their_own_and_one_that_dies(rig_path: str) -> None:
    with launched('detectors.launch.py', rig=rig_path, processes='2', namespace='robot1') as running:
        pid = int(running.says(r'\[detector_node-2\]: process started with pid \[(\d+)\]')[1])
        for _ in range(3):
            running.says(r'\[robot1\.\w+\]: active: ')
        os.kill(pid, signal.SIGKILL)
        running.says('process has died')
        running.says(r'\]: active: ')
        assert running.end().count('process has finished cleanly') == 3
