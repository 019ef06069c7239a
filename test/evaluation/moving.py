# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A person who walks in circles before a rig, exact bodies and keypoints at every instant, and bags of the walk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from geo_pose_ros.arrays import FloatArray, UInt8Array
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.read import BagMessage, BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.evaluation.report import RecordingReport
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.evaluation.statistics import RecordingStatistics
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.messages.diagnostics import Level, Status, diagnostics_to_message
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.recordings import START_NS
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, CameraRig, Frame, Keypoints2D

from ..scenes import person, ring_rig

RATE_HZ = 30.0
MAKE = RosbagsFactory()
# How far off, px, a camera shows everything in a set, by its name and the set's number.
Shift = Callable[[str, int], tuple[float, float]]


def no_shift(name: str, number: int) -> tuple[float, float]:
    return 0.0, 0.0


def pose(time_s: float, seed: int = 0) -> FloatArray:
    """Return the person (17, 3) m at a time: on a circle of 0.5 m at about 1.5 m/s."""
    return person(seed, (0.5 * np.cos(3.0 * time_s), 0.5 * np.sin(3.0 * time_s)))


def bodies_at(number: int, people: Sequence[FloatArray], ids: Sequence[int] = (0,), views: int = 4) -> Bodies3D:
    """Return bodies with sigma 2 cm and ``views`` views at every joint."""
    count = len(people)
    xyz = np.stack(people) if count else np.zeros((0, 17, 3))
    covariance = np.broadcast_to(4e-4 * np.eye(3), (count, 17, 3, 3))
    return Bodies3D(
        stamp_of(number), 'world', BODY17, xyz, covariance, np.ones((count, 17)), np.full((count, 17), views),
        np.zeros((count, 17)), np.array(ids[:count], np.int64),
    )


def stamp_of(number: int) -> int:
    return START_NS + round(number * 1e9 / RATE_HZ)


def seen_by(
    rig: CameraRig, name: str, joints: FloatArray, stamp_ns: int, shift_px: tuple[float, float] = (0.0, 0.0)
) -> Keypoints2D:
    """Return keypoints of people (P, 17, 3) m, or of one (17, 3), in one camera, shifted."""
    xy = project_world(rig[name], np.reshape(joints, (-1, 17, 3))) + np.array(shift_px)
    return Keypoints2D(name, stamp_ns, BODY17, xy, np.ones(xy.shape[:2]))


def recorded(
    sets: int = 300, *, rig: CameraRig | None = None, people: Callable[[float], Sequence[FloatArray]] | None = None,
    late_ms: Mapping[str, float] | None = None, after_ms: Mapping[str, float] | None = None, shift: Shift = no_shift,
    there: Callable[[str, int], bool] = lambda name, number: True,
    change: Callable[[str, int, Keypoints2D], Keypoints2D] = lambda name, number, k: k,
    bodies: Callable[[int], Bodies3D] | None = None, config: ReportConfig | None = None, rounds: int = 1,
) -> RecordingReport:
    """Return the report of people, by default one who walks, whose cameras err.

    A stamp that is late by d belongs to what was there d earlier. A camera of ``after_ms`` looks so long after the set.
    """
    rig = rig or ring_rig(4)
    config = config or ReportConfig(left_out_sets=0)
    people = people or (lambda time_s: (pose(time_s),))
    bodies = bodies or (lambda number: bodies_at(number, people(number / RATE_HZ), range(9)))
    statistics = RecordingStatistics(BODY17, rig, config, sets)
    for number in [*range(sets)] * rounds:
        statistics.add_bodies(bodies(number))
        for name in rig.names:
            if there(name, number):
                after_s = (after_ms or {}).get(name, 0.0) / 1e3
                shown = np.stack(people(number / RATE_HZ + after_s - (late_ms or {}).get(name, 0.0) / 1e3))
                found = seen_by(rig, name, shown, stamp_of(number) + round(1e9 * after_s), shift(name, number))
                statistics.add_keypoints(change(name, number, found))
    # Triangulation alone, so that exact keypoints give exact joints.
    return statistics.report(PipelineConfig(lifter=LifterConfig(enabled=False)))


def grey_image(number: int) -> UInt8Array:
    """Return an image as bright as 40 + the number of its set, modulo 100."""
    return np.full((96, 128, 3), 40 + number % 100, np.uint8)


def write_walk(
    path: Path, *, sets: int = 60, rig: CameraRig | None = None, people: int = 1, bodies: bool = True,
    keypoints: bool = True, images: bool = False, infos: bool = True, latency_ms: float = 0.0, shift: Shift = no_shift,
    image: Callable[[int], UInt8Array] = grey_image, storage: str = 'mcap',
) -> CameraRig:
    """Write a bag of a walk as a node or `geo_pose process` leaves it; return its rig."""
    rig = rig or ring_rig(4)
    with BagWriter(path, storage) as writer:
        if infos:
            writer.write_rig(rig, START_NS)
        for number in range(sets):
            time_s, stamp_ns = number / RATE_HZ, stamp_of(number)
            at_ns = stamp_ns + round(latency_ms * 1e6)
            # The second one stands beside the walk.
            walkers = [pose(time_s), person(7, (1.3, -0.9), 0.4 * time_s)][:people]
            for camera in rig.cameras:
                if images:
                    writer.write_frame(Frame(camera.name, stamp_ns, image(number)), camera.frame_id)
                if keypoints:
                    found = seen_by(rig, camera.name, np.stack(walkers), stamp_ns, shift(camera.name, number))
                    writer.write_keypoints(found, camera.frame_id, at_ns)
            if bodies:
                writer.write_bodies(bodies_at(number, walkers, (0, 1)), at_ns)
            if number % 30 == 0:
                statuses = [
                    Status('pipeline', Level.OK, 'ok', {'rate_hz': '30', 'stage_ms fuse': '4.2'}),
                    Status('camera cam1', Level.WARN, f'silent for {number}.5 s', {'dropped: late': str(number)}),
                ]
                writer.write('/diagnostics', diagnostics_to_message(MAKE, 'pose_node', statuses, at_ns), at_ns)
    return rig


def copy_bag(source: Path, path: Path, change: Callable[[int, BagMessage], bytes | None]) -> None:
    """Write a bag whose messages have the bytes that ``change`` returns of number and message; None: left out."""
    with BagReader(source) as reader, BagWriter(path) as writer:
        for number, message in enumerate(reader.messages()):
            raw = change(number, message)
            if raw is not None:
                writer.write_raw(message.topic, message.message_type, raw, message.time_ns)
