"""pose_node, optionally with RViz and a bag played into it.

ros2 launch geo_pose_ros geo_pose.launch.py rig:=rig.yaml [params:=pose_node.yaml] [rviz:=true] [bag:=BAG]

Settings are in the parameter file; what is not in it keeps its default.
"""

import os

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackagePrefix, FindPackageShare

from geo_pose_ros.ros.middleware import large_data_environment
from launch import LaunchDescription

PACKAGE = 'geo_pose_ros'


def share(*parts: str) -> PathJoinSubstitution:
    """Return a path below the package's share folder."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *parts])


def pose_node(context) -> list:
    """Return pose_node with the parameter file, and the rig file if one was given."""
    rig = LaunchConfiguration('rig').perform(context)
    parameters = [LaunchConfiguration('params').perform(context)]
    if rig:
        parameters.append({'rig': os.path.abspath(os.path.expanduser(rig))})  # noqa: PTH100, PTH111 - no symlinks
    return [Node(package=PACKAGE, executable='pose_node', name='pose_node', output='screen', parameters=parameters)]


def player(context) -> list:
    """Return the player of the bag, if one was given."""
    bag = LaunchConfiguration('bag').perform(context)
    if not bag:
        return []
    geo_pose = PathJoinSubstitution([FindPackagePrefix(PACKAGE), 'lib', PACKAGE, 'geo_pose'])
    command = [geo_pose, 'play', bag, '--restamp', '--loop', '--wait', '30']
    return [ExecuteProcess(cmd=command, name='geo_pose_play', output='screen')]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'params', default_value=share('config', 'pose_node.yaml'), description='parameter file of pose_node'
        ),
        DeclareLaunchArgument(
            'rig', default_value='', description='rig file; empty: calibration from camera_info and /tf_static'
        ),
        DeclareLaunchArgument('bag', default_value='', description='bag to play in a loop, as if it happened now'),
        DeclareLaunchArgument('rviz', default_value='false', description='whether to start RViz'),
        DeclareLaunchArgument(
            'rviz_config', default_value=share('config', 'rviz', 'geo_pose.rviz'), description='configuration of RViz'
        ),
        *(SetEnvironmentVariable(name, value) for name, value in large_data_environment(os.environ).items()),
        OpaqueFunction(function=pose_node),
        OpaqueFunction(function=player),
        Node(
            package='rviz2', executable='rviz2', arguments=['-d', LaunchConfiguration('rviz_config')],
            condition=IfCondition(LaunchConfiguration('rviz')),
        ),
    ])
