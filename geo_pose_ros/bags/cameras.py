# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The cameras of a bag, and their rig: from camera_info, /tf_static and, where cameras move, /tf."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ..arrays import FloatArray
from ..errors import BagError, CalibrationError, DepthError, FrameError, GeoPoseError
from ..geometry.rigid import compose, invert
from ..messages.camera_info import fit_to_images
from ..messages.factory import Message
from ..messages.image import frame_from_message
from ..rigs.builder import RigBuilder
from ..rigs.moving import CameraPoses, MovingCameras
from ..rigs.settings import TransformConfig
from ..rigs.topics import (
    TF_MESSAGE,
    CameraChoice,
    CameraSurvey,
    CameraTopics,
    camera_info_beside,
    is_rectified,
    namespace_of,
    survey_cameras,
    topics_by_camera,
)
from ..rigs.transform_buffer import TransformBuffer
from ..types import Camera, CameraRig
from .read import BagMessage, BagReader, until_damage

_LOG = logging.getLogger(__name__)

_TF, _TF_STATIC = 'tf', 'tf_static'
# So many images of a camera are tried before it cannot be used: the first ones of a recording may be cut.
_FIRST_IMAGES = 10


def choose_cameras(reader: BagReader, choice: CameraChoice | Sequence[str] = ()) -> dict[str, CameraTopics]:
    """Return the topics of the cameras that are chosen, as the topics' names say.

    Args:
        reader: an open bag.
        choice: which cameras and what they send, or their names alone (none: all).

    Raises:
        BagError: if the bag has no camera, or not the one named, or not a topic that is named; lists what there is.
        ConfigError: for entries of another form than camera=topic.
    """
    choice = choice if isinstance(choice, CameraChoice) else CameraChoice(choice)
    survey = survey_cameras(reader.topics.values())
    named = _named_topics(reader, choice)
    taken = {topics.image for topics in named.values()}
    # One that is named by its topic is not found again by its namespace.
    cameras = {name: c for name, c in survey.cameras.items() if c.keypoints or c.image not in taken} | named
    every = {**survey.left_out, **cameras}
    if not cameras and not choice.names:
        raise BagError(f"Bag '{reader.path}' has no camera: {why_no_camera(reader, survey)}")
    missing = [name for name in choice.names if name not in every]
    if missing:
        raise BagError(f"Bag '{reader.path}' has no camera {', '.join(missing)}; it has: {', '.join(sorted(every))}.")
    if not choice.names:
        for name, reason in survey.reasons.items():
            if name not in named:
                _LOG.warning("Camera '%s' is left out: %s.", name, reason)
    rectified = {'yes': True, 'no': False}.get(choice.rectified)
    return {
        name: every[name] if rectified is None else replace(every[name], rectified=rectified)
        for name in choice.names or sorted(cameras)
    }


def _named_topics(reader: BagReader, choice: CameraChoice) -> dict[str, CameraTopics]:
    """Return the cameras whose image topics are named, with the camera_info beside them or named as well."""
    infos = topics_by_camera('camera_info_topics', choice.camera_info_topics)
    cameras = {}
    for name, image in topics_by_camera('image_topics', choice.image_topics).items():
        found = next((topic for topic in (image, f'{image}/compressed') if topic in reader.topics), '')
        info = infos.get(name, camera_info_beside(image))
        missing = [topic for topic in (found or image, *infos.values()) if topic not in reader.topics]
        if missing:
            raise BagError(f"Bag '{reader.path}' has no topic {missing[0]}; it has: {reader.topic_names}.")
        cameras[name] = CameraTopics(
            name, found, info if info in reader.topics else '', rectified=is_rectified(found)
        )
    return cameras


def why_no_camera(reader: BagReader, survey: CameraSurvey) -> str:
    """Return why the topics of a bag give no camera, and what to do."""
    if survey.reasons:
        return ' '.join(f"'{name}' is left out, {reason}." for name, reason in survey.reasons.items())
    if survey.others:
        camera = namespace_of(survey.others[0]).rpartition('/')[2] or 'camera'
        return (
            f'its images are on topics of other names, without a camera_info beside: {", ".join(survey.others)}. Name '
            f'them: --image-topics {camera}={survey.others[0]}'
        )
    return (
        'expected topics <camera>/image_raw, <camera>/image_raw/compressed, another image beside <camera>/camera_info, '
        f'or .../keypoints/<camera>; it has: {reader.topic_names}.'
    )


@dataclass(frozen=True, slots=True)
class FirstImage:
    """The first image of a camera in a bag that can be decoded.

    Attributes:
        width, height: px; 0 if there is none.
        kind: its encoding.
        fault: why there is none; '' if there is one.
        is_depth: there is none because its images hold depth: it is no camera.
    """

    width: int = 0
    height: int = 0
    kind: str = ''
    fault: str = ''
    is_depth: bool = False


# The cameras of a recording that are left out although they are cameras, and why.
LeftOut = dict[str, str]


def leave_out(left_out: LeftOut | None, name: str, reason: str) -> None:
    """Warn that a camera is left out, and note it in ``left_out``: it must not be missed by who judges the result."""
    _LOG.warning('%s It is left out.', reason)
    if left_out is not None:
        left_out[name] = reason


def first_image(reader: BagReader, topics: CameraTopics) -> FirstImage:
    """Decode the first images of a camera, until one can be used."""
    fault, is_depth = f"Camera '{topics.name}': '{topics.image}' holds no message.", False
    for number, message in enumerate(until_damage(islice(reader.messages([topics.image]), _FIRST_IMAGES))):
        try:
            decoded = message.decode()
            height, width = frame_from_message(decoded, topics.name).image.shape[:2]
        except GeoPoseError as error:
            fault, is_depth = (str(error), isinstance(error, DepthError)) if number == 0 else (fault, is_depth)
            continue
        return FirstImage(width, height, str(getattr(decoded, 'encoding', '') or decoded.format))
    return FirstImage(fault=fault, is_depth=is_depth)


def usable_cameras(
    reader: BagReader, chosen: Mapping[str, CameraTopics], left_out: LeftOut | None = None
) -> tuple[dict[str, CameraTopics], dict[str, FirstImage]]:
    """Return the cameras whose images can be decoded, or that have keypoints, and their first images.

    The others are left out, with a warning: they must not count as cameras that see nobody. ``left_out`` gets those
    that are cameras, which depth is not.

    Raises:
        FrameError: if no camera can be used, saying why.
    """
    used: dict[str, CameraTopics] = {}
    images: dict[str, FirstImage] = {}
    faults: dict[str, FirstImage] = {}
    for name, topics in chosen.items():
        first = first_image(reader, topics) if topics.image else None
        if first is None or not first.fault:
            used[name] = topics
            images |= {name: first} if first is not None else {}
        elif topics.keypoints:
            used[name] = replace(topics, image='')
        else:
            faults[name] = first
    if not used:
        reasons = ' '.join(first.fault for first in faults.values())
        raise FrameError(f"Not one frame of bag '{reader.path}' is usable. {reasons}")
    for name, first in faults.items():
        leave_out(None if first.is_depth else left_out, name, first.fault)
    return used, images


def calibrated_cameras(
    chosen: Mapping[str, CameraTopics], images: Mapping[str, FirstImage], rig: CameraRig,
    left_out: LeftOut | None = None,
) -> tuple[dict[str, CameraTopics], CameraRig]:
    """Return the cameras that ``rig`` has for images of their sizes, and their rig; a warning names the others.

    Raises:
        CalibrationError: if no camera is left, saying why.
    """
    cameras: list[Camera] = []
    faults: LeftOut = {}
    for name in chosen:
        try:
            camera, first = rig[name], images.get(name)
            if first is not None:
                lens, note = fit_to_images(camera.intrinsics, first.width, first.height, name)
                camera = replace(camera, intrinsics=lens)
                if note:
                    _LOG.warning('%s', note)
            cameras.append(camera)
        except CalibrationError as error:
            if name not in (left_out or {}):
                faults[name] = str(error)
    if not cameras:
        raise CalibrationError(' '.join(faults.values()))
    for name, fault in faults.items():
        leave_out(left_out, name, fault)
    fitted = replace(rig, cameras=tuple(cameras))
    return {name: chosen[name] for name in fitted.names}, fitted


def camera_infos(
    reader: BagReader, chosen: Mapping[str, CameraTopics], left_out: LeftOut | None = None
) -> dict[str, Message]:
    """Return the first camera_info of the cameras that have one, by name; ``left_out`` gets the others.

    Raises:
        BagError: if no camera has one.
    """
    without = [name for name, topics in chosen.items() if not topics.camera_info]
    if len(without) == len(chosen):
        raise BagError(
            f"Bag '{reader.path}' has no camera_info of {', '.join(without)}; it has: {reader.topic_names}. "
            'Record <camera>/camera_info too, or give the calibration with --rig.'
        )
    for name in without:
        leave_out(left_out, name, f"Camera '{name}': the bag has no camera_info of it.")
    return {
        name: next(reader.messages([topics.camera_info])).decode()
        for name, topics in chosen.items() if topics.camera_info
    }


def read_transforms(reader: BagReader, last_names: Sequence[str] = (_TF, _TF_STATIC)) -> Iterator[BagMessage]:
    """Yield all messages of /tf and /tf_static, in order of time; a namespace before them may be any."""
    yield from reader.messages([
        topic.name for topic in reader.topics.values()
        if topic.message_type == TF_MESSAGE and topic.name.rsplit('/', 1)[-1] in last_names
    ])


def rig_from_bag(
    reader: BagReader, cameras: Mapping[str, CameraTopics] | None = None, world_frame_id: str = '',
    left_out: LeftOut | None = None,
) -> CameraRig:
    """Return the rig of ``cameras``, from their camera_info and /tf_static.

    Args:
        reader: an open bag.
        cameras: their topics (None: all of the bag); those that are not calibrated are left out, with a warning.
        world_frame_id: '' for the root of the transforms, which all cameras must share.
        left_out: gets the cameras that are left out.

    Raises:
        BagError: if no camera has a camera_info.
        CalibrationError: if no camera is calibrated, a transform is impossible, or none joins the cameras.
    """
    chosen = choose_cameras(reader) if cameras is None else cameras
    infos = _with_own_frames(camera_infos(reader, chosen, left_out), chosen, left_out)
    buffer = _buffer(reader, (_TF_STATIC,))
    if not world_frame_id:
        frames = {name: str(info.header.frame_id).lstrip('/') for name, info in infos.items()}
        roots = {name: buffer.root_of(frame) for name, frame in frames.items()}
        ranked = Counter(roots.values()).most_common(2)
        alone = [name for name, root in roots.items() if root != ranked[0][0]] if all(frames.values()) else []
        if alone and ranked[0][1] == ranked[1][1]:
            listed = ', '.join(
                f'{name}: {frames[name]} ' + ('in no transform' if root == frames[name] else f'below {root}')
                for name, root in roots.items()
            )
            raise CalibrationError(
                f"Bag '{reader.path}': no common world frame of the cameras in /tf_static ({listed}). "
                'Record /tf_static with all cameras, or give the calibration with --rig.'
            )
        for name in alone:
            leave_out(
                left_out, name,
                f"Camera '{name}': no transform in /tf_static joins its frame '{frames[name]}' and '{ranked[0][0]}'.",
            )
            del infos[name]
        world_frame_id = ranked[0][0]
    builder = RigBuilder(tuple(infos), world_frame_id, rectified=_rectified(chosen, infos), moving=buffer)
    return _complete_rig(builder, infos, left_out)


def _with_own_frames(
    infos: Mapping[str, Message], chosen: Mapping[str, CameraTopics], left_out: LeftOut | None = None
) -> dict[str, Message]:
    """Return the ``infos`` whose frame no other camera has; rectified cameras of one head may share it.

    Raises:
        CalibrationError: if none is left.
    """
    frames = {name: str(info.header.frame_id).lstrip('/') for name, info in infos.items()}
    shared: dict[str, list[str]] = {}
    for name, frame in frames.items():
        if frame and not chosen[name].rectified:
            shared.setdefault(frame, []).append(name)
    faults = {
        name: f"camera_info of {', '.join(names)} names the same frame '{frame}', so that they would be at one place. "
        'Let each driver name an optical frame of its own, or give the calibration with --rig.'
        for frame, names in shared.items() if len(names) > 1 for name in names
    }
    kept = {name: info for name, info in infos.items() if name not in faults}
    if faults and not kept:
        raise CalibrationError(' '.join(dict.fromkeys(faults.values())))
    for name, fault in faults.items():
        leave_out(left_out, name, fault)
    return kept


def _rectified(chosen: Mapping[str, CameraTopics], names: Collection[str]) -> list[str]:
    return [name for name in names if chosen[name].rectified]


class MovingBag:
    """The cameras of a bag in a frame in which they move.

    Attributes:
        rig: in that frame, at the newest poses.
    """

    def __init__(
        self, reader: BagReader, cameras: Mapping[str, CameraTopics], tracking_frame: str, config: TransformConfig,
        rig: CameraRig | None = None,
    ) -> None:
        """Read all transforms.

        Args:
            reader: an open bag.
            cameras: their topics.
            tracking_frame: the frame in which the cameras move.
            config: which motion of a frame is a jump.
            rig: a calibration whose world is the frame that carries the cameras; None: camera_info and transforms of
                the bag.

        Raises:
            BagError: if no camera has camera_info.
            CalibrationError: if no camera is calibrated, a transform is impossible, or none joins camera and frame.
                One camera of several without camera_info or frame is left out, and named in the log.
        """
        buffer = _buffer(reader, (_TF, _TF_STATIC))
        infos = {} if rig is not None else _with_own_frames(camera_infos(reader, cameras), cameras)
        names = tuple(cameras if rig is not None else infos)
        builder = RigBuilder(names, tracking_frame, rig, _rectified(cameras, names), moving=buffer)
        self.rig = _complete_rig(builder, infos)
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


def _complete_rig(
    builder: RigBuilder, infos: Mapping[str, Message], left_out: LeftOut | None = None
) -> CameraRig:
    """Return the rig that ``infos`` complete; a camera that is not calibrated is left out.

    Raises:
        CalibrationError: if none is.
    """
    for name, info in infos.items():
        builder.on_camera_info(name, info, 0)
    if builder.rig is None:
        raise CalibrationError(' '.join(builder.problems.values()))
    for name, problem in builder.problems.items():
        leave_out(left_out, name, problem)
    return builder.rig
