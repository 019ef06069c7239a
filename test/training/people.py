"""Small sequences with exact truth, for the training tests."""

from __future__ import annotations

import numpy as np
from geo_pose_training.data.sequence import Sequence

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.projection import project_world
from test.scenes import STANDING, ring_rig


def moving_person(frames: int, seed: int = 0) -> FloatArray:
    """Return a person (F, 17, 3) who turns, wanders and swings arms and knees, smoothly."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / 30.0
    phase = rng.uniform(0.0, 2.0 * np.pi, 4)
    joints = np.repeat(STANDING[None], frames, 0).copy()
    swing = 0.25 * np.sin(2.0 * time + phase[0])
    for joint, share in ((12, 0.5), (13, 1.0), (15, -0.5), (16, -1.0), (2, 0.5), (5, -0.5)):
        joints[:, joint, 0] += share * swing
    heading = phase[1] + 0.8 * time
    c, s = np.cos(heading), np.sin(heading)
    turn = np.stack(
        [np.stack([c, s, 0 * c], -1), np.stack([-s, c, 0 * c], -1), np.stack([0 * c, 0 * c, 1 + 0 * c], -1)], 1
    )
    place = 0.4 * np.stack([np.sin(time + phase[2]), np.cos(0.7 * time + phase[3]), 0 * time], -1)
    return joints @ turn + place[:, None]


def sequence(
    frames: int = 40, cameras: int = 4, noise_px: float = 0.0, seed: int = 0, name: str = 'walk', aside_m: float = 0.0
) -> Sequence:
    """Return what a ring of cameras sees of a moving person, confidence 1 and Gaussian noise."""
    truth = moving_person(frames, seed) + (aside_m, 0.0, 0.0)
    rig = ring_rig(cameras)
    rng = np.random.default_rng(seed + 1)
    xy = np.stack([project_world(camera, truth) for camera in rig.cameras], 1)
    xy = xy + noise_px * rng.standard_normal(xy.shape)
    return Sequence(name, 'someone', name, rig, xy, np.ones(xy.shape[:3]), 30.0, truth)
