# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Four USB cameras, each in its namespace, and pose_node: an example to copy.

ros2 launch geo_pose_ros four_cameras.launch.py rig:=rig.yaml [driver:=usb_cam] [video0:=/dev/video0 ...]

The drivers are usb_cam or v4l2_camera; both publish image_raw with its compressed transport, where
compressed_image_transport is installed, and camera_info from `calibration`, a folder of <camera>.yaml files.
"""

import os

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from geo_pose_ros.ros.io.middleware import large_data_environment
from launch import LaunchDescription

CAMERAS = ('cam01', 'cam02', 'cam03', 'cam04')
# Driver -> its executable.
DRIVERS = {'usb_cam': 'usb_cam_node_exe', 'v4l2_camera': 'v4l2_camera_node'}


def cameras(context) -> list:
    """Return the drivers, each with its device and calibration."""
    given = context.launch_configurations
    driver, folder = given['driver'], given['calibration']
    if driver not in DRIVERS:
        raise RuntimeError(f"driver:={driver}: expected one of {', '.join(DRIVERS)}.")
    if folder:
        folder = os.path.abspath(os.path.expanduser(folder))  # noqa: PTH100, PTH111
    return [
        Node(
            package=driver, executable=DRIVERS[driver], name='driver', namespace=name, respawn=True, respawn_delay=2.0,
            parameters=[{
                'video_device': given[f'video{number}'],
                # The names differ between the drivers' own.
                ('frame_id' if driver == 'usb_cam' else 'camera_frame_id'): f'{name}_optical_frame',
                **({'camera_info_url': f'file://{folder}/{name}.yaml'} if folder else {}),
            }],
        )
        for number, name in enumerate(CAMERAS)
    ]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    geo_pose = PathJoinSubstitution([FindPackageShare('geo_pose_ros'), 'launch', 'geo_pose.launch.py'])
    return LaunchDescription([
        DeclareLaunchArgument('driver', default_value='usb_cam', description='usb_cam or v4l2_camera'),
        *(
            DeclareLaunchArgument(f'video{n}', default_value=f'/dev/video{2 * n}', description=f'device of {name}')
            for n, name in enumerate(CAMERAS)
        ),
        DeclareLaunchArgument(
            'calibration', default_value='', description='folder of <camera>.yaml; empty: the driver finds its own'
        ),
        DeclareLaunchArgument('rig', default_value='', description='rig file; empty: from camera_info and /tf_static'),
        # The shared memory that images go through belongs to the drivers.
        *(SetEnvironmentVariable(name, value) for name, value in large_data_environment(os.environ).items()),
        OpaqueFunction(function=cameras),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(geo_pose),
            launch_arguments={'rig': LaunchConfiguration('rig'), 'cameras': ','.join(CAMERAS)}.items(),
        ),
    ])
