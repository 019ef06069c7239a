# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""rosbags' message classes for the builders of ``messages``."""

from __future__ import annotations

from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

# The oldest supported distribution: newer ones read its messages, their definitions have not changed since.
TYPESTORE: Typestore = get_typestore(Stores.ROS2_HUMBLE)


class RosbagsFactory:
    """A ``MessageFactory`` of rosbags' dataclasses; unnamed fields are zero or empty."""

    def __init__(self, typestore: Typestore = TYPESTORE) -> None:
        self._types = typestore

    def __call__(self, message_type: str, /, **fields: Any) -> Any:
        """Return a message of ``message_type``."""
        _, definitions = self._types.fielddefs[message_type]
        for name, node in definitions:
            if name not in fields:
                fields[name] = self._zero(node)
            # rclpy's type of a ROS byte is bytes of length 1, rosbags' is int.
            elif node[1] == ('byte', 0) and isinstance(fields[name], bytes):
                fields[name] = fields[name][0]
        return self._types.types[message_type](**fields)

    def _zero(self, node: Any) -> Any:
        kind, detail = node
        if kind == Nodetype.NAME:
            return self(detail)
        if kind == Nodetype.BASE:
            return {'string': '', 'bool': False}.get(detail[0], 0.0 if detail[0].startswith('float') else 0)
        (item_kind, item), length = detail
        if item_kind == Nodetype.BASE and item[0] != 'string':
            return np.zeros(length if kind == Nodetype.ARRAY else 0, item[0])
        return [self._zero((item_kind, item)) for _ in range(length if kind == Nodetype.ARRAY else 0)]
