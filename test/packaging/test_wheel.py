# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a wheel of the package holds: everything that is read at run time."""

import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A wheel is built.
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Names in a wheel built from the files that git tracks, and its metadata."""
    if find_spec('wheel') is None and find_spec('setuptools.command.bdist_wheel') is None:
        pytest.skip('needs the package wheel, or setuptools 70.1')
    source, out = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('wheel')
    listed = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip('not a git checkout')
    for name in listed.stdout.decode().split('\0'):
        if name and not name.startswith('test/') and (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    wheel = ['wheel', '-qq', '--no-deps', '--no-build-isolation', '-w', str(out), str(source)]
    subprocess.run([sys.executable, '-m', 'pip', *wheel], check=True, capture_output=True)
    with zipfile.ZipFile(next(out.glob('*.whl'))) as wheel:
        metadata = next(name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
        return wheel.namelist(), wheel.read(metadata).decode()


@pytest.fixture(scope='module')
def wheel_names(wheel):
    """Names of the files in the wheel."""
    return wheel[0]


def test_files_read_at_run_time_are_installed(wheel_names):
    for ending in (
        'geo_pose_ros/models/body17.onnx', 'geo_pose_ros/models/body17.json', 'geo_pose_ros/ros/io/fastdds.xml',
        'geo_pose_ros/templates/report.html.j2', 'geo_pose_ros/templates/style.css',
        'geo_pose_training/recipes/geo.yaml', 'geo_pose_training/recipes/li2020.yaml',
        'share/geo_pose_ros/package.xml', 'share/geo_pose_ros/launch/geo_pose.launch.py',
        'share/geo_pose_ros/config/pose_node.yaml', 'share/geo_pose_ros/config/rviz/geo_pose.rviz',
        'share/ament_index/resource_index/packages/geo_pose_ros',
    ):
        assert [name for name in wheel_names if name.endswith(ending)] != []


def test_pip_brings_what_the_runtime_needs(wheel):
    pinned = (ROOT / 'requirements' / 'runtime.txt').read_text()
    needs = {re.split(r'[=<>; ]', line)[0] for line in pinned.splitlines() if line and line[0] not in '#-'}
    found = {re.split(r'[=<>; ]', line.split(': ')[1])[0] for line in wheel[1].splitlines()
             if line.startswith('Requires-Dist') and 'extra ==' not in line}
    # ROS's own are in the extra `ros`: a robot has them.
    assert {need for need in needs if not need.startswith('ros-')} <= found


def test_every_module_is_installed_and_no_test(wheel_names):
    for folder, package in (('geo_pose_ros', 'geo_pose_ros'), ('training', 'geo_pose_training')):
        expected = {
            f'{package}/{path.relative_to(ROOT / folder)}' for path in (ROOT / folder).rglob('*.py')
        }
        assert expected <= set(wheel_names)
    assert not [name for name in wheel_names if name.startswith('test')]
