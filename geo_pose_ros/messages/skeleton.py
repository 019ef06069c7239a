# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`~/skeleton`: what a reader of `~/bodies` needs to know, as JSON in std_msgs/String."""

from __future__ import annotations

import json

from ..skeleton import Skeleton
from ..types import CameraRig
from .factory import Message, MessageFactory

_UNITS = {'x': 'm', 'y': 'm', 'z': 'm', 'sigma': 'm', 'reprojection_error': 'px', 'confidence': '0..1', 'stamp': 'ns'}


def skeleton_to_message(
    make: MessageFactory, skeleton: Skeleton, rig: CameraRig, rig_hash: str, model_card_hash: str = ''
) -> Message:
    """Return `~/skeleton`: joint names, edges, left-right pairs, units, cameras, rig hash and model card hash."""
    description = {
        'name': skeleton.name,
        'joint_names': skeleton.joint_names,
        'edges': skeleton.edges,
        'flip_pairs': skeleton.flip_pairs,
        'units': _UNITS,
        'frame_id': rig.world_frame_id,
        'cameras': rig.names,
        'rig_hash': rig_hash,
        'model_card_hash': model_card_hash,
    }
    return make('std_msgs/msg/String', data=json.dumps(description))
