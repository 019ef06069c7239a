# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The launch file and the RViz configuration; launch is not on PyPI, so its modules are stood in for."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.ros.io.middleware import PROFILE, large_data_environment
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.settings import walk
from test.ros.harness import RIG

ROOT = Path(__file__).parents[2]
NAMES = {
    'launch': ['LaunchDescription'],
    'launch.actions': [
        'DeclareLaunchArgument', 'ExecuteProcess', 'IncludeLaunchDescription', 'OpaqueFunction',
        'SetEnvironmentVariable',
    ],
    'launch.launch_description_sources': ['PythonLaunchDescriptionSource'],
    'launch.substitutions': ['LaunchConfiguration', 'PathJoinSubstitution'],
    'launch_ros': [],
    'launch_ros.actions': ['Node'],
    'launch_ros.substitutions': ['FindPackagePrefix', 'FindPackageShare'],
}


class Made:
    """What a launch class was made with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """Return what gives the entities of a launch file by its name."""
    for name, classes in NAMES.items():
        module = ModuleType(name)
        for each in classes:
            setattr(module, each, type(each, (Made,), {}))
        monkeypatch.setitem(sys.modules, name, module)
    for name in ('RMW_IMPLEMENTATION', 'FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE', 'ROS_DISTRO'):
        monkeypatch.delenv(name, raising=False)

    def entities(name: str) -> list[Any]:
        loaded = runpy.run_path(str(ROOT / 'launch' / name))
        return list(loaded['generate_launch_description']().args[0])

    return entities


def of(description: list[Any], kind: str) -> list[Any]:
    return [entity for entity in description if type(entity).__name__ == kind]


ARGUMENTS = [
    'params_file', 'rig', 'cameras', 'transport', 'image_topic', 'camera_info_topic', 'world_frame', 'use_sim_time',
    'autostart', 'namespace', 'log_level', 'use_respawn', 'bag', 'rviz', 'rviz_config',
]


class Context(dict[str, str]):
    """A launch context: the arguments by name."""

    @property
    def launch_configurations(self) -> dict[str, str]:
        return self


def started(description: list[Any], **given: str) -> list[Any]:
    """Return what the launch file starts with the arguments ``given``."""
    context = Context({
        **dict.fromkeys(ARGUMENTS, ''), 'params_file': 'p.yaml', 'log_level': 'info', 'use_respawn': 'false',
        'rviz': 'false', **given,
    })
    return [entity for f in of(description, 'OpaqueFunction') for entity in f.kwargs['function'](context)]


@pytest.fixture
def description(load: Callable[[str], list[Any]]) -> list[Any]:
    entities = load('geo_pose.launch.py')
    declared = of(entities, 'DeclareLaunchArgument')
    assert [argument.args[0] for argument in declared] == ARGUMENTS
    assert all(argument.kwargs['description'] for argument in declared)
    return entities


def test_the_node_gets_its_file_and_over_it_the_arguments(description: list[Any], tmp_path: Path) -> None:
    (plain,) = started(description)
    assert plain.kwargs['parameters'] == ['p.yaml']
    assert (plain.kwargs['namespace'], plain.kwargs['respawn']) == ('', False)
    parameters = {name: str(tmp_path / name) for name in ARGUMENTS if name in {s.name for s in walk(NodeConfig)}}
    parameters['autostart'] = 'false'
    other = {'namespace': 'robot1', 'log_level': 'debug', 'use_respawn': 'true', 'bag': 'footage'}
    for cameras in ("['left', 'right']", 'left,right'):
        node, play = started(description, **{**parameters, **other, 'cameras': cameras})
        assert node.kwargs['executable'] == 'pose_node'
        assert node.kwargs['parameters'] == [
            'p.yaml', {**parameters, 'cameras': ['left', 'right'], 'autostart': False}
        ]
        assert (node.kwargs['namespace'], node.kwargs['respawn']) == ('robot1', True)
        assert node.kwargs['arguments'] == ['--ros-args', '--log-level', 'debug']
        assert play.kwargs['cmd'][1:] == [
            'play', 'footage', '--restamp', '--loop', '--wait', '30', '--namespace', 'robot1'
        ]
    assert set(parameters) == {
        'rig', 'cameras', 'transport', 'image_topic', 'camera_info_topic', 'world_frame', 'autostart',
    }


def test_simulated_time_reaches_the_node_and_the_bag_brings_its_clock(description: list[Any]) -> None:
    node, play = started(description, use_sim_time='true', bag='footage')
    assert node.kwargs['parameters'] == ['p.yaml', {'use_sim_time': True}]
    assert play.kwargs['cmd'][1:] == ['play', 'footage', '--clock', '--loop', '--wait', '30']
    with pytest.raises(ConfigError, match="'use_sim_time': received 'perhaps', expected true or false"):
        started(description, use_sim_time='perhaps')


@pytest.mark.parametrize(('file', 'old', 'new'), [
    ('geo_pose.launch.py', 'params', 'params_file'), ('geo_pose.launch.py', 'respawn', 'use_respawn'),
    ('detectors.launch.py', 'detector_params', 'detector_params_file'),
])
def test_old_names_of_arguments_are_refused(
    load: Callable[[str], list[Any]], file: str, old: str, new: str
) -> None:
    with pytest.raises(ConfigError, match=f"'{old}': it is called '{new}' now. Write {new}:=x"):
        started(load(file), **{old: 'x'})


def test_rviz_is_started_first_or_nothing_is(
    description: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    with pytest.raises(RuntimeError, match=r'rviz2 is not installed\. Run: sudo apt-get install'):
        started(description, rviz='true')
    found = of(description, 'OpaqueFunction')[0].kwargs['function'].__globals__
    monkeypatch.setitem(found, 'get_package_prefix', lambda name: '/opt/ros')
    config = str(ROOT / 'config' / 'rviz' / 'geo_pose.rviz')
    rviz, node = started(description, rviz='true', rviz_config=config)
    assert (rviz.kwargs['executable'], node.kwargs['executable']) == ('rviz2', 'pose_node')
    assert rviz.kwargs['arguments'] == ['-d', config]
    rviz, _ = started(description, rviz='true', rviz_config=config, namespace='/robot1', use_sim_time='true')
    made = Path(rviz.kwargs['arguments'][1])
    text = made.read_text(encoding='utf-8')
    made.unlink()
    assert '/robot1/pose_node/markers' in text and ' /pose_node/' not in text
    assert rviz.kwargs['parameters'] == [{'use_sim_time': True}]


@pytest.mark.parametrize(
    ('driver', 'executable', 'frame'),
    [('usb_cam', 'usb_cam_node_exe', 'frame_id'), ('v4l2_camera', 'v4l2_camera_node', 'camera_frame_id')],
)
def test_the_example_of_four_cameras(
    load: Callable[[str], list[Any]], driver: str, executable: str, frame: str, tmp_path: Path
) -> None:
    entities = load('four_cameras.launch.py')
    arguments = [argument.args[0] for argument in of(entities, 'DeclareLaunchArgument')]
    context = Context(dict.fromkeys(arguments, '') | {
        'driver': driver, 'video2': '/dev/left', 'calibration': str(tmp_path),
    })
    (start,) = of(entities, 'OpaqueFunction')
    drivers = start.kwargs['function'](context)
    assert [node.kwargs['namespace'] for node in drivers] == ['cam01', 'cam02', 'cam03', 'cam04']
    assert {(node.kwargs['package'], node.kwargs['executable']) for node in drivers} == {(driver, executable)}
    assert drivers[2].kwargs['parameters'] == [{
        'video_device': '/dev/left', frame: 'cam03_optical_frame', 'camera_info_url': f'file://{tmp_path}/cam03.yaml'
    }]
    (included,) = of(entities, 'IncludeLaunchDescription')
    given = dict(included.kwargs['launch_arguments'])
    assert given['cameras'] == 'cam01,cam02,cam03,cam04' and set(given) <= set(ARGUMENTS)
    with pytest.raises(RuntimeError, match=r'driver:=webcam: expected one of usb_cam, v4l2_camera\.'):
        start.kwargs['function'](Context({**context, 'driver': 'webcam'}))


@pytest.mark.parametrize(('processes', 'shares'), [('9', 4), ('0', 1)])
def test_each_detector_process_gets_its_share_and_is_started_again(
    load: Callable[[str], list[Any]], rig_path: str, processes: str, shares: int
) -> None:
    description = load('detectors.launch.py')
    (function,) = of(description, 'OpaqueFunction')
    context = Context({
        'rig': rig_path, 'params_file': 'p.yaml', 'processes': processes, 'detector_params_file': '',
        'use_sim_time': '', 'namespace': 'robot1',
    })
    pose_node, *detectors = function.kwargs['function'](context)
    assert pose_node.kwargs['parameters'] == ['p.yaml', {'rig': str(Path(rig_path)), 'transport': 'keypoints'}]
    assert len(detectors) == shares
    cameras = [name for node in detectors for name in node.kwargs['parameters'][0]['cameras']]
    assert sorted(cameras) == sorted(RIG.names)
    assert {node.kwargs['name'] for node in detectors} == {f'detector_node_{index}' for index in range(shares)}
    assert all(node.kwargs['respawn'] and node.kwargs['respawn_delay'] < 2.0 for node in detectors)
    assert all(node.kwargs['executable'] == 'detector_node' for node in detectors)
    assert {node.kwargs['namespace'] for node in (pose_node, *detectors)} == {'robot1'}
    names = [argument.args[0] for argument in of(description, 'DeclareLaunchArgument')]
    assert names == ['rig', 'namespace', 'processes', 'params_file', 'detector_params_file', 'use_sim_time']


def test_the_transport_is_set_unless_the_user_chose(description: list[Any]) -> None:
    assert [e.args for e in of(description, 'SetEnvironmentVariable')] == [
        ('FASTDDS_DEFAULT_PROFILES_FILE', str(PROFILE))
    ]
    assert PROFILE.exists()
    assert large_data_environment({'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}) == large_data_environment({})
    assert large_data_environment({'ROS_DISTRO': 'humble'}) == {'FASTRTPS_DEFAULT_PROFILES_FILE': str(PROFILE)}
    for chosen in (
        {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'},
        {'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'},
        {'FASTRTPS_DEFAULT_PROFILES_FILE': 'mine.xml'},
    ):
        assert large_data_environment(chosen) == {}


def test_rviz_shows_what_the_node_publishes() -> None:
    tree = yaml.safe_load((ROOT / 'config' / 'rviz' / 'geo_pose.rviz').read_text(encoding='utf-8'))
    manager = tree['Visualization Manager']
    shown = {(d['Class'].split('/')[1], d.get('Topic', {}).get('Value')) for d in manager['Displays']}
    assert {
        ('TF', None), ('MarkerArray', '/pose_node/markers'), ('PointCloud2', '/pose_node/bodies'),
        ('Image', '/pose_node/annotated/cam01/compressed'),
    } <= shown
    assert manager['Global Options']['Fixed Frame'] == 'world'
