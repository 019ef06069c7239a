# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Keypoints of the people in a bag: recorded `keypoints` topics, or detected in its images and cached."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from geo_pose_ros.arrays import NS_PER_S, FloatArray
from geo_pose_ros.bags.cameras import choose_cameras, rig_from_bag
from geo_pose_ros.bags.keypoints import read_keypoints
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.sets import Stamped, synchronised
from geo_pose_ros.detection.models.profiles import choose_profile
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.rigs.topics import CameraTopics
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.scene.sync import FrameSynchronizer
from geo_pose_ros.skeleton import BODY17, map_to_body17
from geo_pose_ros.types import CameraRig, Keypoints2D

from .recording import PersonRecording

Cached = Mapping[str, np.ndarray]
# Somebody who was seen by two cameras for less than this was passing by, instants.
_LEAST_INSTANTS = 30


def load_people(
    path: Path, *, cameras: tuple[str, ...] = (), frames: slice = slice(None), skeleton: str = 'body17',
    rig: CameraRig | None = None,
) -> list[PersonRecording]:
    """Return what a bag's calibrated cameras saw of each person in it, who was seen longest first.

    All have the frames of the recording; where somebody is not there, nothing is seen. Recorded keypoints are used if
    there are any, else images are detected. Either is cached below $XDG_CACHE_HOME by the bag's path, size and time,
    so a bag is detected once.

    Args:
        path: of the bag.
        cameras: names; empty: all.
        frames: which of the synchronised sets.
        skeleton: of the keypoint topics.
        rig: the calibration; None: what the bag says.

    Raises:
        BagError, CalibrationError: if cameras, calibration or keypoints are missing.
    """
    with BagReader(path) as reader:
        if rig is None:
            rig = rig_from_bag(reader, choose_cameras(reader, cameras))
        if cameras:
            rig = rig.subset(cameras)
        topics = choose_cameras(reader, rig.names)
    found = {name: _cached(path, topics[name], rig, skeleton) for name in rig.names}
    sets = _synchronised(rig.names, found)
    if not sets[frames]:
        raise BagError(f"Bag '{path}' has {len(sets)} sets, none of them in the chosen range; choose another.")
    stamp_ns = np.array([stamp for stamp, _ in sets], np.int64)
    fps = NS_PER_S / float(np.median(np.diff(stamp_ns))) if len(stamp_ns) > 1 else 30.0
    people = []
    for number, (xy, confidence) in enumerate(_tell_apart(rig, sets)):
        name = path.stem if number == 0 else f'{path.stem}, person {number + 1}'
        whole = PersonRecording(name, name, path.stem, rig, xy, confidence, fps, stamp_ns=stamp_ns).frames(frames)
        if number == 0 or (whole.confidence > 0.0).any():
            people.append(whole)
    return people


def parse_range(text: str) -> slice:
    """Return the frames that '0-70' names (the last not included); all for ''; raise ConfigError for another form."""
    if not text:
        return slice(None)
    start, dash, stop = text.partition('-')
    if not dash or not (start + stop).isdigit():
        raise ConfigError(f"'{text}' is no range of frames; expected e.g. 0-70 (the last is not included).")
    return slice(int(start or 0), int(stop) if stop else None)


def _cached(path: Path, topics: CameraTopics, rig: CameraRig, skeleton: str) -> Cached:
    """Return the detections of a camera, which are read once."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    # Nothing waits for it: the best networks.
    detector, _ = choose_profile(DetectorConfig())
    key = hashlib.sha256(repr((states, topics, skeleton, detector)).encode()).hexdigest()
    folder = Path(os.environ.get('XDG_CACHE_HOME', '~/.cache')).expanduser() / 'geo_pose'
    cache = folder / f'people-{key[:24]}.npz'
    if not cache.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with BagReader(path) as reader:
            keypoints = read_keypoints(reader, {topics.name: topics}, rig, skeleton, detector)[topics.name]
        mapped = [map_to_body17(k.skeleton).apply(k.xy, k.confidence) for k in keypoints]
        nobody = np.zeros((0, len(BODY17)))
        partial = cache.with_suffix('.partial.npz')
        np.savez_compressed(
            partial, stamp_ns=np.array([k.stamp_ns for k in keypoints], np.int64),
            people=np.array([len(xy) for xy, _ in mapped], np.int64),
            xy=np.concatenate([np.zeros((0, len(BODY17), 2)), *(xy for xy, _ in mapped)]),
            confidence=np.concatenate([nobody, *(confidence for _, confidence in mapped)]),
        )
        partial.replace(cache)
    with np.load(cache) as stored:
        return dict(stored)


def _synchronised(
    names: tuple[str, ...], found: Mapping[str, Cached]
) -> list[tuple[int, dict[str, Keypoints2D]]]:
    """Return stamp, ns, and keypoints by camera of the sets."""
    frames = [
        Stamped(name, seen.stamp_ns, seen.stamp_ns, seen) for name in names for seen in _keypoints(name, found[name])
    ]
    # When they were received is not cached; they come as if at once.
    frames.sort(key=lambda frame: (frame.stamp_ns, frame.camera))
    sets = synchronised(frames, FrameSynchronizer(names, newest_wins=False), names)
    return [(members.stamp_ns, dict(members.payloads)) for members in sets]


def _keypoints(name: str, stored: Cached) -> list[Keypoints2D]:
    """Return what was cached of a camera, message by message."""
    ends = np.cumsum(stored['people'])
    return [
        Keypoints2D(name, int(stamp_ns), BODY17, stored['xy'][start:end], stored['confidence'][start:end])
        for stamp_ns, start, end in zip(stored['stamp_ns'], ends - stored['people'], ends, strict=True)
    ]


def _tell_apart(
    rig: CameraRig, sets: Sequence[tuple[int, Mapping[str, Keypoints2D]]]
) -> list[tuple[FloatArray, FloatArray]]:
    """Return xy (F, C, J, 2) px, NaN = not seen, and confidence (F, C, J) of every person, who was seen longest first.

    If no image shows two people, all detections are of one person. Otherwise the pipeline separates people by their
    body ids, without its lifter: labels must not depend on the model that is trained. A detection is left out if two
    cameras do not see its person together. A person that they see for less than 30 instants is left out, unless
    nobody was seen longer.

    Args:
        rig: C cameras.
        sets: F sets: stamp, and body17 keypoints by camera; cameras may be missing.
    """
    if all(len(seen.xy) <= 1 for _, found in sets for seen in found.values()):
        return [_gathered(rig, sets, [dict.fromkeys(found, 0) for _, found in sets])]
    rows: dict[int, list[dict[str, int]]] = {}
    with PosePipeline(rig, replace(PipelineConfig(), lifter=LifterConfig(enabled=False))) as pipeline:
        for index, (stamp_ns, found) in enumerate(sets):
            for name, owners in pipeline.fuse(stamp_ns, found).scene.owners.items():
                for row, body in enumerate(owners.tolist()):
                    if body >= 0:
                        rows.setdefault(body, [{} for _ in sets])[index][name] = row
    shared = {body: sum(len(views) >= 2 for views in seen) for body, seen in rows.items()}
    longest = sorted(shared, key=lambda body: (-shared[body], body))
    chosen = [body for n, body in enumerate(longest) if shared[body] >= (1 if n == 0 else _LEAST_INSTANTS)]
    return [_gathered(rig, sets, rows[body]) for body in chosen]


def _gathered(
    rig: CameraRig, sets: Sequence[tuple[int, Mapping[str, Keypoints2D]]], rows: Sequence[Mapping[str, int]]
) -> tuple[FloatArray, FloatArray]:
    """Return xy and confidence of the detections ``rows``, by set and camera."""
    xy = np.full((len(sets), len(rig), len(BODY17), 2), np.nan)
    confidence = np.zeros(xy.shape[:3])
    for index, ((_, found), chosen) in enumerate(zip(sets, rows, strict=True)):
        for name, row in chosen.items():
            if row < len(found[name].xy):
                camera = rig.names.index(name)
                xy[index, camera], confidence[index, camera] = found[name].xy[row], found[name].confidence[row]
    return xy, confidence
