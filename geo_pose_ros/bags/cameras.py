"""The cameras of a bag, and their rig: from camera_info, /tf_static and, where cameras move, /tf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..arrays import FloatArray
from ..errors import BagError, CalibrationError
from ..geometry.rigid import compose, invert
from ..messages.factory import Message
from ..rigs.builder import RigBuilder
from ..rigs.moving import CameraPoses, MovingCameras
from ..rigs.settings import TransformConfig
from ..rigs.topics import TF_MESSAGE, CameraTopics, find_cameras
from ..rigs.transform_buffer import TransformBuffer
from ..types import CameraRig
from .read import BagMessage, BagReader

_TF, _TF_STATIC = 'tf', 'tf_static'


def choose_cameras(reader: BagReader, names: Sequence[str] = ()) -> dict[str, CameraTopics]:
    """Return the topics of the cameras called ``names`` (none: all).

    Raises:
        BagError: if the bag has no camera, or not the one named; lists what there is.
    """
    cameras = find_cameras(reader.topics.values())
    if not cameras:
        raise BagError(
            f"Bag '{reader.path}' has no camera: expected topics <camera>/image_raw, <camera>/image_raw/compressed or "
            f'.../keypoints/<camera>; it has: {reader.topic_names}.'
        )
    missing = [name for name in names if name not in cameras]
    if missing:
        raise BagError(f"Bag '{reader.path}' has no camera {', '.join(missing)}; it has: {', '.join(cameras)}.")
    return {name: cameras[name] for name in names or cameras}


def camera_infos(reader: BagReader, names: Sequence[str] = ()) -> dict[str, Message]:
    """Return the first camera_info of the cameras called ``names`` (none: all), by name.

    Raises:
        BagError: if a camera has none.
    """
    cameras = choose_cameras(reader, names)
    without = [name for name, topics in cameras.items() if not topics.camera_info]
    if without:
        raise BagError(
            f"Bag '{reader.path}' has no camera_info of {', '.join(without)}; it has: {reader.topic_names}. "
            'Record <camera>/camera_info too, or give the calibration with --rig.'
        )
    return {name: next(reader.messages([topics.camera_info])).decode() for name, topics in cameras.items()}


def read_transforms(reader: BagReader, last_names: Sequence[str] = (_TF, _TF_STATIC)) -> Iterator[BagMessage]:
    """Yield all messages of /tf and /tf_static, in order of time; a namespace before them may be any."""
    yield from reader.messages([
        topic.name for topic in reader.topics.values()
        if topic.message_type == TF_MESSAGE and topic.name.rsplit('/', 1)[-1] in last_names
    ])


def rig_from_bag(reader: BagReader, names: Sequence[str] = (), world_frame_id: str = '') -> CameraRig:
    """Return the rig of the cameras called ``names`` (none: all), from their camera_info and /tf_static.

    Args:
        reader: an open bag.
        names: see above.
        world_frame_id: '' for the root of the transforms, which all cameras must share.

    Raises:
        BagError: if a camera has no camera_info.
        CalibrationError: if a camera is uncalibrated, a transform is impossible, or none joins the cameras.
    """
    infos = camera_infos(reader, names)
    buffer = _buffer(reader, (_TF_STATIC,))
    if not world_frame_id:
        frames = {name: str(info.header.frame_id).lstrip('/') for name, info in infos.items()}
        roots = {name: buffer.root_of(frame) for name, frame in frames.items()}
        if len(set(roots.values())) > 1 and all(frames.values()):
            listed = ', '.join(
                f'{name}: {frames[name]} ' + ('in no transform' if root == frames[name] else f'below {root}')
                for name, root in roots.items()
            )
            raise CalibrationError(
                f"Bag '{reader.path}': no common world frame of the cameras in /tf_static ({listed}). "
                'Record /tf_static with all cameras, or give the calibration with --rig.'
            )
        world_frame_id = next(iter(roots.values()))
    return _complete_rig(RigBuilder(tuple(infos), world_frame_id, moving=buffer), infos)


class MovingBag:
    """The cameras of a bag in a frame in which they move.

    Attributes:
        rig: in that frame, at the newest poses.
    """

    def __init__(
        self, reader: BagReader, names: Sequence[str], tracking_frame: str, config: TransformConfig,
        rig: CameraRig | None = None,
    ) -> None:
        """Read all transforms.

        Args:
            reader: an open bag.
            names: of the cameras.
            tracking_frame: the frame in which the cameras move.
            config: which motion of a frame is a jump.
            rig: a calibration whose world is the frame that carries the cameras; None: camera_info and transforms of
                the bag.

        Raises:
            BagError: if a camera has no camera_info.
            CalibrationError: if a camera is uncalibrated, a transform is impossible, or none joins a camera and the
                frame.
        """
        buffer = _buffer(reader, (_TF, _TF_STATIC))
        builder = RigBuilder(names, tracking_frame, rig, moving=buffer)
        self.rig = _complete_rig(builder, {} if rig is not None else camera_infos(reader, names))
        self._mounts = builder.mounts
        if rig is not None:
            frame_from_tracking = invert(buffer.lookup(tracking_frame, rig.world_frame_id, None))
            self.rig = replace(self.rig, cameras=tuple(
                replace(camera, cam_from_world=compose(camera.cam_from_world, frame_from_tracking))
                for camera in self.rig.cameras
            ))
        self._cameras = MovingCameras(buffer, tracking_frame, config)

    def poses_at(self, stamps_ns: Mapping[str, int]) -> CameraPoses:
        """Return the poses of the cameras of ``stamps_ns`` at these stamps."""
        return self._cameras.poses_at(self._mounts, stamps_ns)

    def poses_about(self, stamps_ns: Mapping[str, int]) -> Mapping[str, FloatArray]:
        """Return the same as far as it is known; see runner.MovingPoses."""
        return self._cameras.poses_about({name: self._mounts[name] for name in stamps_ns}, stamps_ns)


def _buffer(reader: BagReader, last_names: Sequence[str]) -> TransformBuffer:
    """Return all transforms of a bag; raise CalibrationError for an impossible one."""
    buffer = TransformBuffer(keep_s=float('inf'))
    for message in read_transforms(reader, last_names):
        wrong = buffer.add(message.decode().transforms, static=message.topic.endswith(_TF_STATIC))
        if wrong:
            raise CalibrationError(f"Bag '{reader.path}': {wrong}")
    return buffer


def _complete_rig(builder: RigBuilder, infos: Mapping[str, Message]) -> CameraRig:
    """Return the rig that ``infos`` complete; raise CalibrationError if a camera is not calibrated."""
    for name, info in infos.items():
        builder.on_camera_info(name, info, 0)
    if builder.rig is None or builder.problems:
        raise CalibrationError(' '.join(builder.problems.values()))
    return builder.rig
