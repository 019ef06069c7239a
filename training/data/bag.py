"""Keypoints of one person from a bag: recorded `keypoints` topics, or detected in its images and cached."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.config import DetectorConfig
from geo_pose_ros.detection.base import create_detector
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.messages.camera_info import intrinsics_from_camera_info
from geo_pose_ros.messages.image import frame_from_message
from geo_pose_ros.messages.keypoints import keypoints_from_cloud
from geo_pose_ros.messages.transforms import chain_to_root, lookup, transform_tree
from geo_pose_ros.skeleton import BODY17, FloatArray, get_skeleton, map_to_body17
from geo_pose_ros.types import Camera, CameraRig, Keypoints2D

from .sequence import Sequence

_IMAGES = ('sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/Image')
_CLOUD = 'sensor_msgs/msg/PointCloud2'
# Frames of different cameras further apart than half the frame time are not the same instant.
_SAME_INSTANT = 0.5


def load_bag(path: Path, *, cameras: tuple[str, ...] = (), frames: slice = slice(None), skeleton: str = 'body17') -> Sequence:
    """Return what a bag's calibrated cameras saw of the one person in it.

    Keypoint topics (`.../keypoints/<camera>` or `<camera>/keypoints`) are used if there are any, else images are
    detected; the result is cached below $XDG_CACHE_HOME by the bag's path, size and time.

    Args:
        path: of the bag.
        cameras: names; empty: all that have camera_info.
        frames: which of the synchronised frames.
        skeleton: of the keypoint topics.

    Raises:
        BagError: if cameras, calibration or keypoints are missing.
    """
    with BagReader(path) as reader:
        rig = _rig(reader, path, cameras)
        topics = {name: _topic(reader, path, name) for name in rig.names}
    found = {name: _cached(path, name, topic, skeleton) for name, topic in topics.items()}
    xy, confidence, fps = _synchronise(rig, found)
    return Sequence(path.stem, path.stem, path.stem, rig, xy[frames], confidence[frames], fps)


def parse_range(text: str) -> slice:
    """Return the frames that '0-70' names (the last not included); all for ''; raise ConfigError for another form."""
    if not text:
        return slice(None)
    start, dash, stop = text.partition('-')
    if not dash or not (start + stop).isdigit():
        raise ConfigError(f"'{text}' is no range of frames; expected e.g. 0-70 (the last is not included).")
    return slice(int(start or 0), int(stop) if stop else None)


def _rig(reader: BagReader, path: Path, cameras: tuple[str, ...]) -> CameraRig:
    suffix = '/camera_info'
    names = [t.removesuffix(suffix).strip('/') for t in sorted(reader.topics) if t.endswith(suffix)]
    missing = set(cameras) - set(names)
    if missing or not names:
        raise BagError(f"Bag '{path}' has no camera_info of {sorted(missing) or 'any camera'}; it has: {names}.")
    wanted = cameras or tuple(names)
    static = [message.decode() for message in reader.messages(['/tf_static'])]
    tree = transform_tree(static)
    infos: dict[str, object] = {}
    for message in reader.messages([f'/{name}{suffix}' for name in wanted]):
        name = message.topic.removesuffix(suffix).strip('/')
        if name not in infos:
            infos[name] = message.decode()
        if len(infos) == len(wanted):
            break
    made = []
    world, _ = chain_to_root(tree, str(getattr(infos[wanted[0]], 'header').frame_id))
    for name in wanted:
        frame_id = str(getattr(infos[name], 'header').frame_id)
        made.append(Camera(name, frame_id, intrinsics_from_camera_info(infos[name], name), lookup(tree, frame_id, world)))
    return CameraRig(tuple(made), world)


def _topic(reader: BagReader, path: Path, camera: str) -> str:
    clouds = [
        topic.name for topic in reader.topics.values() if topic.message_type == _CLOUD
        and (topic.name.endswith(f'/keypoints/{camera}') or topic.name.strip('/') == f'{camera}/keypoints')
    ]
    images = [
        topic.name for topic in reader.topics.values()
        if topic.message_type in _IMAGES and topic.name.strip('/').startswith(f'{camera}/')
    ]
    for name in (*sorted(clouds), *sorted(images)):
        return name
    raise BagError(f"Bag '{path}' has neither keypoints nor images of camera '{camera}'.")


def _cached(path: Path, camera: str, topic: str, skeleton: str) -> Mapping[str, FloatArray]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    key = ''.join(f'{f.resolve()}|{f.stat().st_size}|{f.stat().st_mtime_ns};' for f in files) + topic + skeleton
    folder = Path(os.environ.get('XDG_CACHE_HOME', '~/.cache')).expanduser() / 'geo_pose'
    cache = folder / f'keypoints-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz'
    if not cache.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        keypoints = _read(path, camera, topic, skeleton)
        partial = cache.with_suffix('.partial.npz')
        np.savez_compressed(
            partial, stamp_ns=np.array([k.stamp_ns for k in keypoints], np.int64),
            xy=np.stack([_best_person(k)[0] for k in keypoints]),
            confidence=np.stack([_best_person(k)[1] for k in keypoints]),
        )
        os.replace(partial, cache)
    with np.load(cache) as stored:
        return dict(stored)


def _read(path: Path, camera: str, topic: str, skeleton: str) -> list[Keypoints2D]:
    with BagReader(path) as reader:
        total = reader.topics[topic].count
        if reader.topics[topic].message_type == _CLOUD:
            given = get_skeleton(skeleton)
            keypoints = [keypoints_from_cloud(m.decode(), camera, given) for m in reader.messages([topic])]
        else:
            detector = create_detector(DetectorConfig(), camera)
            messages = tqdm(reader.messages([topic]), total=total, desc=f'detect {camera}', unit='frame')
            keypoints = [detector.detect(frame_from_message(m.decode(), camera)) for m in messages]
            detector.close()
    if not keypoints:
        raise BagError(f"Topic '{topic}' of bag '{path}' holds no message.")
    return keypoints


def _best_person(keypoints: Keypoints2D) -> tuple[FloatArray, FloatArray]:
    """Return body17 px (17, 2) and confidences (17,) of the surest person; NaN and 0 for nobody."""
    if not len(keypoints.xy):
        return np.full((len(BODY17), 2), np.nan), np.zeros(len(BODY17))
    best = int(keypoints.confidence.sum(-1).argmax())
    return map_to_body17(keypoints.skeleton).apply(keypoints.xy[best], keypoints.confidence[best])


def _synchronise(
    rig: CameraRig, found: Mapping[str, Mapping[str, FloatArray]]
) -> tuple[FloatArray, FloatArray, float]:
    """Return xy (F, C, J, 2), confidence (F, C, J) at the first camera's stamps, and the frame rate."""
    stamps = found[rig.names[0]]['stamp_ns']
    step_ns = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1e9 / 30.0
    xy = np.full((len(stamps), len(rig), len(BODY17), 2), np.nan)
    confidence = np.zeros(xy.shape[:3])
    for index, name in enumerate(rig.names):
        other = found[name]['stamp_ns']
        nearest = np.abs(other[None] - stamps[:, None]).argmin(1)
        together = np.abs(other[nearest] - stamps) <= _SAME_INSTANT * step_ns
        xy[together, index] = found[name]['xy'][nearest[together]]
        confidence[together, index] = found[name]['confidence'][nearest[together]]
    return xy, confidence, 1e9 / step_ns
