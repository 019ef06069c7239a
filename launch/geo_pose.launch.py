# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""pose_node, optionally with RViz and a bag played into it.

ros2 launch geo_pose_ros geo_pose.launch.py rig:=rig.yaml [params_file:=pose_node.yaml] [rviz:=true] [bag:=BAG]
ros2 launch geo_pose_ros geo_pose.launch.py cameras:="['left', 'right']" image_topic:=/{camera}/image_rect_color

Settings are in the parameter file; what is not in it keeps its default. Arguments override the file. ``namespace`` is
that of the node, of the bag's topics and of what RViz shows; with ``use_sim_time:=true`` the bag brings its clock.
"""

import os

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackagePrefix, FindPackageShare

from geo_pose_ros.ros.io.launch_arguments import refuse_renamed, ros_parameters, rviz_in
from geo_pose_ros.ros.io.middleware import large_data_environment
from launch import LaunchDescription

PACKAGE = 'geo_pose_ros'
# Parameters that are also launch arguments; '' leaves them to the parameter file.
PARAMETERS = {
    'cameras': "names of the cameras, as a list: \"['left', 'right']\"",
    'transport': 'raw, compressed or keypoints',
    'image_topic': 'image topic of a camera, with {camera} in it',
    'camera_info_topic': 'calibration topic of a camera, with {camera} in it',
    'world_frame': 'frame of the output where there is no rig file',
    'use_sim_time': 'true: time comes from /clock',
    'autostart': 'false: a lifecycle manager configures and activates',
}
# Old name of an argument -> its name.
RENAMED = {'params': 'params_file', 'respawn': 'use_respawn'}


def share(*parts: str) -> PathJoinSubstitution:
    """Return a path below the package's share folder."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *parts])


def check(context) -> list:
    """Start nothing; raise ConfigError for an argument of an old name."""
    refuse_renamed(context.launch_configurations, RENAMED)
    return []


def rviz(context) -> list:
    """Return RViz, if it was asked for; fail before anything has been started if it is not installed."""
    given = context.launch_configurations
    if given['rviz'].lower() not in ('true', '1'):
        return []
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError as error:
        raise RuntimeError(
            'rviz:=true, but rviz2 is not installed. Run: sudo apt-get install -y ros-$ROS_DISTRO-rviz2'
        ) from error
    config = rviz_in(given['namespace'], given['rviz_config'])
    time = ros_parameters({'use_sim_time': given['use_sim_time']})
    return [Node(package='rviz2', executable='rviz2', arguments=['-d', config], parameters=[time] if time else [])]


def pose_node(context) -> list:
    """Return pose_node with the parameter file, and over it what was given as argument."""
    given = context.launch_configurations
    overrides = ros_parameters({name: given[name] for name in PARAMETERS})
    if 'cameras' in overrides:
        names = yaml.safe_load(overrides['cameras'])
        overrides['cameras'] = [str(name) for name in names] if isinstance(names, list) else str(names).split(',')
    if given['rig']:
        overrides['rig'] = os.path.abspath(os.path.expanduser(given['rig']))  # noqa: PTH100, PTH111 - no symlinks
    return [
        Node(
            package=PACKAGE, executable='pose_node', name='pose_node', namespace=given['namespace'], output='screen',
            parameters=[given['params_file'], *([overrides] if overrides else [])],
            arguments=['--ros-args', '--log-level', given['log_level']],
            respawn=given['use_respawn'].lower() in ('true', '1'), respawn_delay=2.0,
        )
    ]


def player(context) -> list:
    """Return the player of the bag, if one was given."""
    bag, namespace, sim_time = (context.launch_configurations[name] for name in ('bag', 'namespace', 'use_sim_time'))
    if not bag:
        return []
    geo_pose = PathJoinSubstitution([FindPackagePrefix(PACKAGE), 'lib', PACKAGE, 'geo_pose'])
    stamps = '--clock' if sim_time.lower() == 'true' else '--restamp'
    command = [geo_pose, 'play', bag, stamps, '--loop', '--wait', '30']
    command += ['--namespace', namespace] if namespace else []
    return [ExecuteProcess(cmd=command, name='geo_pose_play', output='screen')]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    as_in_file = {name: ('', f'{what}; empty: as in the parameter file') for name, what in PARAMETERS.items()}
    # Launch argument -> its default, and what it is.
    declared = {
        'params_file': (share('config', 'pose_node.yaml'), 'parameter file of pose_node'),
        'rig': ('', 'rig file; empty: calibration from camera_info and /tf_static'),
        **as_in_file,
        'namespace': ('', "namespace of pose_node, and of the bag's topics"),
        'log_level': ('info', 'least severity that is logged'),
        'use_respawn': ('false', 'whether pose_node is started again'),
        'bag': ('', 'bag to play in a loop, as if it happened now'),
        'rviz': ('false', 'whether to start RViz'),
        'rviz_config': (share('config', 'rviz', 'geo_pose.rviz'), 'configuration of RViz'),
    }
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=value, description=what)
          for name, (value, what) in declared.items()),
        *(SetEnvironmentVariable(name, value) for name, value in large_data_environment(os.environ).items()),
        *(OpaqueFunction(function=function) for function in (check, rviz, pose_node, player)),
    ])
