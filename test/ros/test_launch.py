"""The launch file and the RViz configuration; launch is not on PyPI, so its modules are stood in for."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from geo_pose_ros.ros.middleware import PROFILE, large_data_environment

ROOT = Path(__file__).parents[2]
NAMES = {
    'launch': ['LaunchDescription'],
    'launch.actions': ['DeclareLaunchArgument', 'ExecuteProcess', 'OpaqueFunction', 'SetEnvironmentVariable'],
    'launch.conditions': ['IfCondition'],
    'launch.substitutions': ['PathJoinSubstitution'],
    'launch_ros': [],
    'launch_ros.actions': ['Node'],
    'launch_ros.substitutions': ['FindPackagePrefix', 'FindPackageShare'],
}


class Made:
    """What a launch class was made with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class LaunchConfiguration:
    def __init__(self, name: str) -> None:
        self.name = name

    def perform(self, context: dict[str, str]) -> str:
        return context[self.name]


@pytest.fixture
def description(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    for name, classes in NAMES.items():
        module = ModuleType(name)
        for each in classes:
            setattr(module, each, type(each, (Made,), {}))
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules['launch.substitutions'].LaunchConfiguration = LaunchConfiguration  # type: ignore[attr-defined]
    for name in ('RMW_IMPLEMENTATION', 'FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE', 'ROS_DISTRO'):
        monkeypatch.delenv(name, raising=False)
    loaded = runpy.run_path(str(ROOT / 'launch' / 'geo_pose.launch.py'))
    return list(loaded['generate_launch_description']().args[0])


def of(description: list[Any], kind: str) -> list[Any]:
    return [entity for entity in description if type(entity).__name__ == kind]


def test_arguments_are_files_and_switches(description: list[Any]) -> None:
    names = [argument.args[0] for argument in of(description, 'DeclareLaunchArgument')]
    assert names == ['params', 'rig', 'bag', 'rviz', 'rviz_config']
    assert all(argument.kwargs['description'] for argument in of(description, 'DeclareLaunchArgument'))


def test_the_node_gets_its_files(description: list[Any], tmp_path: Path) -> None:
    context = {'params': 'p.yaml', 'rig': str(tmp_path / 'rig.yaml'), 'bag': 'footage'}
    (node,), (play,) = (f.kwargs['function'](context) for f in of(description, 'OpaqueFunction'))
    assert node.kwargs['executable'] == 'pose_node'
    assert node.kwargs['parameters'] == ['p.yaml', {'rig': str(tmp_path / 'rig.yaml')}]
    assert play.kwargs['cmd'][1:] == ['play', 'footage', '--restamp', '--loop', '--wait', '30']


def test_without_files_there_is_only_the_node(description: list[Any]) -> None:
    context = {'params': 'p.yaml', 'rig': '', 'bag': ''}
    (node,), nothing = (f.kwargs['function'](context) for f in of(description, 'OpaqueFunction'))
    assert node.kwargs['parameters'] == ['p.yaml']
    assert nothing == []
    (rviz,) = of(description, 'Node')
    assert rviz.kwargs['executable'] == 'rviz2'
    assert rviz.kwargs['condition'].args[0].name == 'rviz'


def test_the_play_arguments_exist() -> None:
    pytest.importorskip('rclpy')
    import argparse

    from geo_pose_ros.ros import play

    parser = argparse.ArgumentParser()
    play.register(parser.add_subparsers())
    given = parser.parse_args(['play', 'footage', '--restamp', '--loop', '--wait', '30'])
    assert (given.restamp, given.loop, given.wait) == (True, 0, 30.0)


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
        {'FASTDDS_DEFAULT_PROFILES_FILE': 'mine.xml'},
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
