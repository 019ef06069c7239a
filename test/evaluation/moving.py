"""A person who walks in circles before a rig, with exact bodies and keypoints at every instant."""

from __future__ import annotations

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.evaluation.report import RecordingReport
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.evaluation.statistics import RecordingStatistics
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, CameraRig, Keypoints2D

from ..scenes import person, ring_rig

START_NS = 1_700_000_000_000_000_000
RATE_HZ = 30.0


def pose(time_s: float, seed: int = 0) -> FloatArray:
    """Return the person (17, 3) m at a time: on a circle of 0.5 m at about 1.5 m/s."""
    return person(seed, (0.5 * np.cos(3.0 * time_s), 0.5 * np.sin(3.0 * time_s)))


def bodies_at(number: int, people: tuple[FloatArray, ...], ids: tuple[int, ...] = (0,), views: int = 4) -> Bodies3D:
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


def seen_by(rig: CameraRig, name: str, joints: FloatArray, stamp_ns: int, shift_px: tuple[float, float] = (0.0, 0.0)):
    """Return keypoints of one person in one camera, shifted."""
    xy = project_world(rig[name], joints)[None] + np.array(shift_px)
    return Keypoints2D(name, stamp_ns, BODY17, xy, np.ones((1, 17)))


def recorded(
    sets: int = 300, *, rig: CameraRig | None = None, late_ms: dict[str, float] | None = None,
    shift=lambda name, number: (0.0, 0.0), there=lambda name, number: True, change=lambda name, number, k: k,
    bodies=lambda number: bodies_at(number, (pose(number / RATE_HZ),)), config: ReportConfig | None = None,
) -> RecordingReport:
    """Return the report of a walk in which cameras err as told."""
    rig = rig or ring_rig(4)
    config = config or ReportConfig(left_out_sets=0)
    statistics = RecordingStatistics(BODY17, rig, config, sets)
    for number in range(sets):
        statistics.add_bodies(bodies(number))
        for name in rig.names:
            if there(name, number):
                # A stamp that is late by d belongs to what was there d earlier.
                shown = pose(number / RATE_HZ - (late_ms or {}).get(name, 0.0) / 1e3)
                found = seen_by(rig, name, shown, stamp_of(number), shift(name, number))
                statistics.add_frame(name, found.stamp_ns)
                statistics.add_keypoints(change(name, number, found))
    # Triangulation alone, so that exact keypoints give exact joints.
    return statistics.report(PipelineConfig(lifter=LifterConfig(enabled=False)))
