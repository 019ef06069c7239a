# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Calibrated multi-camera RGB to 3D human skeletons, under ROS 2, over a bag, or in a test.

What is named here is the public Python API, for programs without ROS too; each name is loaded when it is used::

    from geo_pose_ros import Frame, FrameSet, PosePipeline, read_calibration
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = '0.1.0'

if TYPE_CHECKING:
    from .bags.process import process_bag as process_bag
    from .bags.recording import Recorded as Recorded
    from .bags.recording import Recording as Recording
    from .calibration.calibrate import calibrate as calibrate
    from .calibration.task import CalibrateTask as CalibrateTask
    from .errors import GeoPoseError as GeoPoseError
    from .pipeline import PipelineResult as PipelineResult
    from .pipeline import PosePipeline as PosePipeline
    from .rigs.files import read_calibration as read_calibration
    from .rigs.rig_file import load_rig as load_rig
    from .scene.scene import Scene as Scene
    from .scene.scene import SceneResult as SceneResult
    from .scene.settings import PipelineConfig as PipelineConfig
    from .session.folder import load as load
    from .session.run import run as run
    from .skeleton import BODY17 as BODY17
    from .skeleton import Skeleton as Skeleton
    from .skeleton import get_skeleton as get_skeleton
    from .types import Bodies3D as Bodies3D
    from .types import Camera as Camera
    from .types import CameraRig as CameraRig
    from .types import ClockModel as ClockModel
    from .types import Frame as Frame
    from .types import FrameSet as FrameSet
    from .types import Intrinsics as Intrinsics
    from .types import Keypoints2D as Keypoints2D

# Public name -> its module. Help of the command line must not load numpy, so nothing is imported here.
_PUBLIC = {
    'BODY17': 'skeleton', 'Bodies3D': 'types', 'CalibrateTask': 'calibration.task', 'Camera': 'types',
    'CameraRig': 'types', 'ClockModel': 'types', 'Frame': 'types', 'FrameSet': 'types',
    'GeoPoseError': 'errors', 'Intrinsics': 'types', 'Keypoints2D': 'types',
    'PipelineConfig': 'scene.settings', 'PipelineResult': 'pipeline', 'PosePipeline': 'pipeline',
    'Recorded': 'bags.recording', 'Recording': 'bags.recording', 'Scene': 'scene.scene',
    'SceneResult': 'scene.scene', 'Skeleton': 'skeleton', 'calibrate': 'calibration.calibrate',
    'get_skeleton': 'skeleton', 'load': 'session.folder', 'load_rig': 'rigs.rig_file', 'process_bag': 'bags.process',
    'read_calibration': 'rigs.files', 'run': 'session.run',
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'geo_pose_ros' has no attribute '{name}'; it has: {', '.join(sorted(_PUBLIC))}.")
    return getattr(import_module(f'.{_PUBLIC[name]}', __name__), name)


def __dir__() -> list[str]:
    return [*sorted(_PUBLIC), '__version__']
