# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""ament_python package; ``training/`` installs as ``geo_pose_training``."""

import os
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'geo_pose_ros'


def files(folder: str, pattern: str) -> list[str]:
    """Return the files of ``folder`` that match, relative to this file, as data_files wants them."""
    return sorted(str(path) for path in Path(folder).glob(pattern))


# colcon says that it is it: ROS's own packages come from apt, and ``package.xml`` names them. pip brings what the
# runtime needs, and puts its own script into bin.
of_colcon = bool(os.environ.get('COLCON'))
on_path = [('bin', ['tools/geo_pose'])] if of_colcon else []
runtime = [] if of_colcon else [
    'numpy>=1.21', 'scipy>=1.8', 'numba>=0.55', 'opencv-python-headless>=4.5', 'pillow>=9', 'PyYAML>=5.4', 'tqdm>=4.57',
    'Jinja2>=3', 'matplotlib>=3.5', 'onnxruntime>=1.17', 'rosbags>=0.10', 'tomli>=1.2; python_version < "3.11"',
]
training = ['geo_pose_training', *(f'geo_pose_training.{name}' for name in find_packages('training'))]

setup(
    name=NAME,
    version='0.1.0',
    packages=[*find_packages(include=[NAME, f'{NAME}.*']), *training],
    package_dir={'geo_pose_training': 'training'},
    package_data={
        NAME: ['models/*.onnx', 'models/*.json', 'ros/io/*.xml', 'templates/*', 'py.typed'],
        'geo_pose_training': ['recipes/*.yaml'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', files('launch', '*.launch.py')),
        (f'share/{NAME}/config', files('config', '*.yaml')),
        (f'share/{NAME}/config/rviz', files('config/rviz', '*.rviz')),
        *on_path,
    ],
    python_requires='>=3.10',
    install_requires=['setuptools', *runtime],
    # colcon test runs pytest where it is named here, and unittest otherwise.
    extras_require={
        'test': ['pytest'], 'view': ['viser>=1.1,<2'], 'store': ['pyarrow>=24'], 'fleet': ['distributed>=2026'],
        'export': ['ezc3d>=1.5.18', 'pygltflib>=1.16', 'pyarrow>=24', 'imageio-ffmpeg>=0.5', 'pandas>=2.3',
                   'xarray>=2025.6'],
        'train': ['torch>=2.4', 'onnx>=1.16', 'h5py>=3'], 'ros': ['ros-rclpy[fastrtps]', 'ros-common-interfaces'],
    },
    zip_safe=False,
    author='geo_pose_ros maintainers',
    maintainer='geo_pose_ros maintainers',
    maintainer_email='maintainers@users.noreply.r-seed-e38be9af.example',
    description='Calibrated multi-camera RGB to 3D human skeletons, with a lifter retrained from bags.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'geo_pose = geo_pose_ros.cli:main',
            'pose_node = geo_pose_ros.ros.start:pose_node',
            'detector_node = geo_pose_ros.ros.start:detector_node',
        ],
    },
)
