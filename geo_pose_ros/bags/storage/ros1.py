# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Messages of ROS 1 as those of ROS 2: from .bag files, MCAPs with profile ros1, and bags that were converted as is.

ROS 1 has CameraInfo's K D R P in capitals, a counter in every header, and tf/tfMessage. A bag that rosbags-convert made
without --dst-typestore keeps these definitions.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from rosbags.convert.converter import migrate_bytes
from rosbags.typesys.store import Typestore

from ...errors import BagError
from ..message_factory import TYPESTORE
from .recover import McapView

# Raw messages -> CDR of ROS 2.
Convert = Callable[[bytes], bytes]
_RENAMED: Mapping[str, str] = {'tf/msg/tfMessage': 'tf2_msgs/msg/TFMessage'}
_MAGIC_BYTES, _FOOTER_BYTES, _SCHEMA = 8, 37, 0x03
# Profile and encoding of the definitions, which rosbags takes for ROS 2's only. Their lengths are the same.
_PROFILE, _ENCODING = (b'ros1', b'ros2'), (b'ros1msg', b'ros2msg')


def ros2_name(message_type: str) -> str:
    """Return ROS 2's name of a type: sensor_msgs/Image -> sensor_msgs/msg/Image."""
    package, _, name = message_type.partition('/')
    full = message_type if name.startswith(('msg/', 'srv/', 'action/')) else f'{package}/msg/{name}'
    return _RENAMED.get(full, full)


def converter(typestore: Typestore, message_type: str, *, ros1: bool) -> Convert | None:
    """Return what makes CDR of ROS 2's ``message_type`` of a bag's raw messages; None: they are that already.

    Args:
        typestore: the definitions of the bag.
        message_type: ROS 2's name.
        ros1: the messages are serialised as ROS 1 does.
    """
    source = message_type
    for old in (message_type.replace('/msg/', '/'), *(old for old, new in _RENAMED.items() if new == message_type)):
        source = old if old in typestore.fielddefs else source
    if message_type not in TYPESTORE.fielddefs:
        # Of others than ROS's own packages; the bag's definitions read it.
        return (lambda raw: bytes(typestore.ros1_to_cdr(raw, source))) if ros1 else None
    if not ros1 and (source not in typestore.fielddefs or not _is_renamed(typestore, source, message_type)):
        return None
    cache: dict[str, object] = {}
    return lambda raw: bytes(migrate_bytes(
        typestore, TYPESTORE, source, message_type, cache, raw, src_is2=not ros1, dst_is2=True
    ))


def _is_renamed(typestore: Typestore, source: str, message_type: str) -> bool:
    """Return whether a type, or a field of it, has ROS 1's names."""
    names, wanted = ([name for name, _ in store.fielddefs[of][1]] for store, of in (
        (typestore, source), (TYPESTORE, message_type),
    ))
    return source != message_type or (names != wanted and [name.lower() for name in names] == wanted)


def mcap_view(path: Path) -> McapView | None:
    """Return an MCAP of ROS 1 as rosbags reads it; None if it is not of ROS 1.

    Raises:
        BagError: if its profile is another one, or its definitions cannot be found.
    """
    with path.open('rb') as file:
        head = file.read(_MAGIC_BYTES + 9 + 4 + 64)
        if not head.startswith(b'\x89MCAP0') or len(head) < _MAGIC_BYTES + 13:
            return None
        (length,) = struct.unpack_from('<I', head, _MAGIC_BYTES + 9)
        profile = head[_MAGIC_BYTES + 13 :][:length]
        if profile == b'ros2':
            return None
        if profile != _PROFILE[0]:
            name = profile.decode('utf-8', 'replace') or 'none'
            raise BagError(
                f"'{path}' is an MCAP of another system (profile '{name}'), not of ROS. Record it with ros2 bag "
                'record, or convert its images and camera_info to ROS 2 messages.'
            )
        patches = {_MAGIC_BYTES + 13: _PROFILE[1]}
        file.seek(-_FOOTER_BYTES, 2)
        end = file.tell()
        (summary,) = struct.unpack('<Q', file.read(_FOOTER_BYTES)[9:17])
        file.seek(summary)
        while summary and file.tell() < end:
            at = file.tell()
            opcode, size = struct.unpack('<BQ', file.read(9))
            record = file.read(size)
            if opcode == _SCHEMA:
                (length,) = struct.unpack_from('<I', record, 2)
                if record[6 + length + 4 :].startswith(_ENCODING[0]):
                    patches[at + 9 + 6 + length + 4] = _ENCODING[1]
    if len(patches) == 1:
        raise BagError(
            f"'{path}' is a recording of ROS 1 whose message definitions are not in its summary. Write it again: "
            f'mcap recover {path} -o {path.stem}_whole.mcap, and give {path.stem}_whole.mcap'
        )
    return McapView(path, patches=patches)
