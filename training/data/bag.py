"""Keypoints of one person from a bag: recorded `keypoints` topics, or detected in its images and cached."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.sets import Stamped, synchronised
from geo_pose_ros.calibration.bag_cameras import CameraTopics, choose_cameras, rig_from_bag
from geo_pose_ros.config import DetectorConfig
from geo_pose_ros.detection.base import create_detector
from geo_pose_ros.errors import BagError, ConfigError, FrameError
from geo_pose_ros.messages.image import frame_from_message
from geo_pose_ros.messages.keypoints import keypoints_from_cloud
from geo_pose_ros.scene.sync import FrameSynchronizer
from geo_pose_ros.skeleton import BODY17, FloatArray, get_skeleton, map_to_body17
from geo_pose_ros.types import CameraRig, Keypoints2D

from .sequence import Sequence

Cached = Mapping[str, np.ndarray]


def load_bag(
    path: Path, *, cameras: tuple[str, ...] = (), frames: slice = slice(None), skeleton: str = 'body17',
    rig: CameraRig | None = None,
) -> Sequence:
    """Return what a bag's calibrated cameras saw of the one person in it.

    Recorded keypoints are used if there are any, else images are detected. Either is cached below $XDG_CACHE_HOME by
    the bag's path, size and time, so a bag is detected once.

    Args:
        path: of the bag.
        cameras: names; empty: all.
        frames: which of the synchronised frame sets.
        skeleton: of the keypoint topics.
        rig: the calibration; None: what the bag says.

    Raises:
        BagError, CalibrationError: if cameras, calibration or keypoints are missing.
    """
    with BagReader(path) as reader:
        if rig is None:
            rig = rig_from_bag(reader, cameras)
        elif cameras:
            rig = rig.subset(cameras)
        topics = choose_cameras(reader, rig.names)
    found = {name: _cached(path, topics[name], skeleton) for name in rig.names}
    xy, confidence, stamp_ns = _synchronised(rig.names, found)
    if not len(xy[frames]):
        raise BagError(f"Bag '{path}' has {len(xy)} frame sets, none of them in the chosen range; choose another.")
    fps = 1e9 / float(np.median(np.diff(stamp_ns))) if len(stamp_ns) > 1 else 30.0
    whole = Sequence(path.stem, path.stem, path.stem, rig, xy, confidence, fps, stamp_ns=stamp_ns)
    return whole.frames(frames)


def parse_range(text: str) -> slice:
    """Return the frames that '0-70' names (the last not included); all for ''; raise ConfigError for another form."""
    if not text:
        return slice(None)
    start, dash, stop = text.partition('-')
    if not dash or not (start + stop).isdigit():
        raise ConfigError(f"'{text}' is no range of frames; expected e.g. 0-70 (the last is not included).")
    return slice(int(start or 0), int(stop) if stop else None)


def _cached(path: Path, topics: CameraTopics, skeleton: str) -> Cached:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(repr((states, topics, skeleton)).encode()).hexdigest()
    folder = Path(os.environ.get('XDG_CACHE_HOME', '~/.cache')).expanduser() / 'geo_pose'
    cache = folder / f'keypoints-{key[:24]}.npz'
    if not cache.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        keypoints = _read(path, topics, skeleton)
        people = [_surest_person(k) for k in keypoints]
        partial = cache.with_suffix('.partial.npz')
        np.savez_compressed(
            partial, stamp_ns=np.array([k.stamp_ns for k in keypoints], np.int64),
            xy=np.stack([xy for xy, _ in people]), confidence=np.stack([confidence for _, confidence in people]),
        )
        partial.replace(cache)
    with np.load(cache) as stored:
        return dict(stored)


def _read(path: Path, topics: CameraTopics, skeleton: str) -> list[Keypoints2D]:
    with BagReader(path) as reader:
        if topics.keypoints:
            given = get_skeleton(skeleton)
            return [keypoints_from_cloud(m.decode(), topics.name, given) for m in reader.messages([topics.keypoints])]
        config = DetectorConfig()
        detector = create_detector(config)
        found = []
        total = reader.topics[topics.image].count
        for message in tqdm(reader.messages([topics.image]), total=total, desc=f'detect {topics.name}', unit='frame'):
            try:
                frame = frame_from_message(message.decode(), topics.name)
                found.append(detector.detect({topics.name: frame}, {})[topics.name])
            except FrameError:
                # A broken picture is a frame in which nobody is seen.
                found.append(Keypoints2D.empty(topics.name, message.time_ns, detector.skeleton))
        detector.close()
        return found


def _surest_person(keypoints: Keypoints2D) -> tuple[FloatArray, FloatArray]:
    """Return body17 px (17, 2) and confidences (17,) of the surest person; NaN and 0 for nobody."""
    if not len(keypoints.xy):
        return np.full((len(BODY17), 2), np.nan), np.zeros(len(BODY17))
    best = int(keypoints.confidence.sum(-1).argmax())
    return map_to_body17(keypoints.skeleton).apply(keypoints.xy[best], keypoints.confidence[best])


def _synchronised(
    names: tuple[str, ...], found: Mapping[str, Cached]
) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Return xy (F, C, J, 2), confidence (F, C, J) and stamps (F,), ns, of the frame sets."""
    stamps = [(int(stamp), name, row) for name in names for row, stamp in enumerate(found[name]['stamp_ns'])]
    # When they were received is not cached; they come as if at once.
    frames = [Stamped(name, stamp, stamp, row) for stamp, name, row in sorted(stamps)]
    sets = list(synchronised(frames, FrameSynchronizer(names, newest_wins=False), names))
    xy = np.full((len(sets), len(names), len(BODY17), 2), np.nan)
    confidence = np.zeros(xy.shape[:3])
    for index, members in enumerate(sets):
        for name, row in members.payloads.items():
            xy[index, names.index(name)] = found[name]['xy'][row]
            confidence[index, names.index(name)] = found[name]['confidence'][row]
    return xy, confidence, np.array([members.stamp_ns for members in sets], np.int64)
