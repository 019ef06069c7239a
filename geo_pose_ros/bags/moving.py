"""Cameras of a bag that move: its /tf and /tf_static as a whole, and where cameras were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..errors import CalibrationError
from ..geometry.quaternion import invert, matrix
from ..geometry.rigid import compose
from ..rigs.moving import CameraPoses, Mount, MovingCameras, mounts_of
from ..rigs.settings import TransformConfig
from ..rigs.topics import TF_MESSAGE, bag_lenses
from ..rigs.transform_buffer import TransformBuffer
from ..types import Camera, CameraRig
from .read import BagMessage, BagReader

# Nothing is forgotten.
_EVER = float('inf')
_AS_IT_IS = np.eye(3, 4)


def transforms_of(reader: BagReader) -> Iterator[BagMessage]:
    """Yield all messages of /tf and /tf_static, in order of time; a namespace before them may be any."""
    topics = [
        topic.name for topic in reader.topics.values()
        if topic.message_type == TF_MESSAGE and topic.name.rsplit('/', 1)[-1] in ('tf', 'tf_static')
    ]
    yield from reader.messages(topics) if topics else ()


class MovingBag:
    """The cameras of a bag in a frame in which they move.

    Attributes:
        rig: in that frame, as placed by the newest transforms.
    """

    def __init__(
        self, reader: BagReader, names: Sequence[str], tracking_frame: str, config: TransformConfig,
        rig: CameraRig | None = None,
    ) -> None:
        """Read all transforms.

        Args:
            names: the cameras.
            tracking_frame: see above.
            config: what counts as a jump.
            rig: a calibration whose world is what carries it; None: that of the bag.

        Raises:
            BagError: if a camera has no camera_info.
            CalibrationError: if a camera is uncalibrated, a transform impossible, or no chain joins a camera and the
                frame.
        """
        self._buffer = TransformBuffer(_EVER)
        for message in transforms_of(reader):
            wrong = self._buffer.add(message.decode().transforms, static=message.topic.endswith('static'))
            if wrong:
                raise CalibrationError(f"Bag '{reader.path}': {wrong}")
        self._cameras = MovingCameras(self._buffer, tracking_frame, config)
        if rig is not None:
            rig = rig.subset(list(names))
            self._mounts = mounts_of(rig)
            lenses = {camera.name: (camera.frame_id, camera.intrinsics) for camera in rig.cameras}
        else:
            lenses = bag_lenses(reader, names)
            self._mounts = {name: Mount(frame_id, _AS_IT_IS) for name, (frame_id, _) in lenses.items()}
        cameras = []
        for name, (frame_id, intrinsics) in lenses.items():
            mount = self._mounts[name]
            placed = matrix(invert(self._buffer.lookup(tracking_frame, mount.frame, None)))
            cameras.append(Camera(name, frame_id, intrinsics, compose(mount.cam_from_frame, placed)))
        self.rig = CameraRig(tuple(cameras), tracking_frame)

    def poses_at(self, stamps_ns: Mapping[str, int]) -> CameraPoses:
        """Return where the cameras of ``stamps_ns`` were at these instants."""
        return self._cameras.poses_at(self._mounts, stamps_ns)
