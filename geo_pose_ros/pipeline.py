"""PosePipeline: frames of one instant in, bodies out. Knows neither ROS nor files.

Interface (implementation follows)::

    pipeline = PosePipeline(rig, config)
    result = pipeline.process(stamp_ns, {'left': load_left, 'right': load_right})   # loaders run in parallel
    result = pipeline.fuse(stamp_ns, {'left': keypoints_left, ...})                  # 2D from elsewhere
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .types import Bodies3D, Frame, Keypoints2D

FrameLoader = Callable[[], Frame]


@dataclass(frozen=True, slots=True, eq=False)
class PipelineResult:
    """What one frame set gave.

    Attributes:
        bodies: in the world frame.
        keypoints: body17 keypoints per camera, of every camera whose frame could be used.
        frames: decoded frames per camera (empty where keypoints came from elsewhere).
        camera_errors: per camera whose frame could not be used, why.
        stage_ms: wall time per stage: decode and detect (both summed over cameras), detection (wall), associate,
            triangulate, ...
    """

    bodies: Bodies3D
    keypoints: Mapping[str, Keypoints2D]
    frames: Mapping[str, Frame]
    camera_errors: Mapping[str, str]
    stage_ms: Mapping[str, float]
