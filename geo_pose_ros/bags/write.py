# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Write bags: never over an existing one unless asked, and never half of one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Literal

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys.store import Typestore

from ..errors import BagError, refuse_existing
from ..messages.camera_info import camera_info_from_intrinsics
from ..messages.clouds.bodies import bodies_to_cloud
from ..messages.clouds.keypoints import keypoints_to_cloud
from ..messages.factory import Message
from ..messages.image import compressed_from_frame
from ..messages.transforms import rig_to_transforms
from ..types import Bodies3D, Camera, CameraRig, Frame, Keypoints2D
from .message_factory import TYPESTORE, RosbagsFactory
from .storage.kinds import is_bag

# The node's default name, whose private topics (~/...) are written.
NODE = '/pose_node'
STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
# Metadata version 8 is read by every distribution from Humble on; 9 is not.
_METADATA_VERSION: Literal[8] = 8
_FOREVER = QosTime(sec=9223372036, nsec=854775807)


def _qos(depth: int, durability: QosDurability) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, durability, _FOREVER, _FOREVER, QosLiveliness.AUTOMATIC,
        _FOREVER, False,
    )


DEFAULT_QOS = _qos(10, QosDurability.VOLATILE)
LATCHED_QOS = _qos(1, QosDurability.TRANSIENT_LOCAL)
# What a full disk, a folder that is gone or another thread's SQLite raises.
_FAILURES = (OSError, WriterError, sqlite3.Error)
# Topics that late subscribers must get too, by their last name.
_LATCHED = ('tf_static', 'skeleton')


class BagWriter:
    """Writes one bag; a context manager.

    It is written beside its place and moved there when complete. If the body raises, nothing is left and an
    overwritten bag is still there. With ``keep_partial`` (recordings) it is written in its place, and stays there as
    far as it came if the body raises; if the process is killed, ``BagReader`` still reads an mcap up to its last
    chunk of 1 MiB, while sqlite3 is written to disk only at the end.

    Args:
        path: the bag's folder.
        storage: mcap or sqlite3.
        overwrite: replace an existing bag; anything else at ``path`` is never replaced.
        keep_partial: see above.

    Raises:
        BagError: if ``path`` exists, or cannot be written.
    """

    def __init__(
        self, path: Path, storage: str = 'mcap', *, overwrite: bool = False, keep_partial: bool = False
    ) -> None:
        if storage not in STORAGES:
            raise BagError(f"Unknown bag storage '{storage}'; expected one of {', '.join(STORAGES)}.")
        refuse_existing(path, overwrite=overwrite, error=BagError)
        if path.exists() and not is_bag(path):
            raise BagError(f"'{path}' exists and is not a bag; it is not replaced. Choose another path.")
        self.path = path
        self._keep_partial = keep_partial
        self._scratch = path.parent / f'.{path.name}.partial-{os.getpid()}'
        self._replaced = self._scratch / 'replaced'
        if keep_partial and path.exists():
            self._move_old_away()
        self._writer = Writer(
            path if keep_partial else self._scratch / path.name, version=_METADATA_VERSION,
            storage_plugin=STORAGES[storage],
        )
        self._connections: dict[str, Connection] = {}
        self._make = RosbagsFactory()

    def add_topic(
        self, topic: str, message_type: str, *, latched: bool | None = None, typestore: Typestore = TYPESTORE
    ) -> None:
        """Declare a topic, so that it is listed even if it stays empty; a second call changes nothing.

        Args:
            topic, message_type: its full name and ROS type.
            latched: whether late subscribers get the last message too; None: as its name is known for.
            typestore: knows the type's definition.

        Raises:
            BagError: if the topic was declared with another type, or cannot be written.
        """
        known = self._connections.get(topic)
        if known is not None:
            if known.msgtype != message_type:
                raise BagError(f"Topic '{topic}' holds {known.msgtype} already, received {message_type}.")
            return
        if latched is None:
            latched = topic.rsplit('/', 1)[-1] in _LATCHED
        try:
            self._connections[topic] = self._writer.add_connection(
                topic, message_type, typestore=typestore, offered_qos_profiles=[LATCHED_QOS if latched else DEFAULT_QOS]
            )
        except _FAILURES as failure:
            raise BagError(f"Bag '{self.path}' cannot be written any further: {failure}.") from failure

    def write(self, topic: str, message: Message, time_ns: int) -> None:
        """Write a message of ``RosbagsFactory``, received at ``time_ns``."""
        message_type = str(message.__msgtype__)
        self.write_raw(topic, message_type, TYPESTORE.serialize_cdr(message, message_type), time_ns)

    def write_transforms(self, rig: CameraRig, stamp_ns: int) -> None:
        """Write where the cameras of ``rig`` stand, as /tf_static."""
        self.write('/tf_static', rig_to_transforms(self._make, rig, stamp_ns), stamp_ns)

    def write_lens(self, camera: Camera, stamp_ns: int) -> None:
        """Write the camera_info of a camera."""
        info = camera_info_from_intrinsics(self._make, camera.intrinsics, stamp_ns, camera.frame_id)
        self.write(f'/{camera.name}/camera_info', info, stamp_ns)

    def write_rig(self, rig: CameraRig, stamp_ns: int) -> None:
        """Write where the cameras of ``rig`` stand, and each one's camera_info."""
        self.write_transforms(rig, stamp_ns)
        for camera in rig.cameras:
            self.write_lens(camera, stamp_ns)

    def write_frame(self, frame: Frame, frame_id: str, jpeg_quality: int = 90) -> None:
        """Write an image as a camera's driver does, coded."""
        image = compressed_from_frame(self._make, frame, frame_id, jpeg_quality)
        self.write(f'/{frame.camera}/image_raw/compressed', image, frame.stamp_ns)

    def write_keypoints(self, seen: Keypoints2D, frame_id: str, time_ns: int | None = None) -> None:
        """Write what a camera saw as the node does, received at ``time_ns``; None: at its stamp."""
        time_ns = seen.stamp_ns if time_ns is None else time_ns
        self.write(f'{NODE}/keypoints/{seen.camera}', keypoints_to_cloud(self._make, seen, frame_id), time_ns)

    def write_bodies(self, bodies: Bodies3D, time_ns: int | None = None) -> None:
        """Write bodies as the node does, received at ``time_ns``; None: at their stamp."""
        time_ns = bodies.stamp_ns if time_ns is None else time_ns
        self.write(f'{NODE}/bodies', bodies_to_cloud(self._make, bodies), time_ns)

    def write_raw(self, topic: str, message_type: str, raw: bytes | memoryview, time_ns: int) -> None:
        """Write a serialised message; of a type that ``TYPESTORE`` does not know the topic is declared before.

        Raises:
            BagError: if it cannot be written (a full disk), or the topic was declared with another type.
        """
        self.add_topic(topic, message_type)
        try:
            self._writer.write(self._connections[topic], time_ns, raw)
        except _FAILURES as failure:
            raise BagError(f"Bag '{self.path}' cannot be written any further: {failure}.") from failure

    def __enter__(self) -> BagWriter:
        try:
            self._writer.open()
        except _FAILURES as error:
            self._discard()
            raise BagError(f"Bag '{self.path}' cannot be written: {error}. Choose another folder.") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not (self._keep_partial and self._connections):
            self._writer.abort()
            self._discard()
            return
        try:
            self._writer.close()
            if self._writer.path != self.path:
                if self.path.exists():
                    self._move_old_away()
                self._writer.path.rename(self.path)
            shutil.rmtree(self._scratch, ignore_errors=True)
        except _FAILURES as failure:
            raise BagError(
                f"Bag '{self.path}' could not be finished: {failure}. What was written is in '{self._writer.path}'."
            ) from failure

    def _move_old_away(self) -> None:
        self._scratch.mkdir(exist_ok=True)
        self.path.rename(self._replaced)

    def _discard(self) -> None:
        """Remove what was written and put the old bag back."""
        if self._writer.path.is_dir():
            shutil.rmtree(self._writer.path)
        if self._replaced.exists():
            self._replaced.rename(self.path)
        shutil.rmtree(self._scratch, ignore_errors=True)
