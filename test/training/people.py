# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Small recordings with exact truth, and the files that training reads, for its tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
from geo_pose_training.data.recording import PersonRecording

from geo_pose_ros.arrays import NS_PER_S, FloatArray
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.simulation.recordings import write_keypoints_bag
from geo_pose_ros.simulation.walks import STANDING, turn
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import CameraRig, Keypoints2D
from test.scenes import ring_rig

PERIOD_NS = 33_333_333


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
    position = 0.4 * np.stack([np.sin(time + phase[2]), np.cos(0.7 * time + phase[3]), 0 * time], -1)
    return turn(joints, heading) + position[:, None]


def recorded_person(
    frames: int = 40, cameras: int = 4, noise_px: float = 0.0, seed: int = 0, name: str = 'walk', aside_m: float = 0.0
) -> PersonRecording:
    """Return what a ring of cameras sees of a moving person, confidence 1 and Gaussian noise."""
    truth = moving_person(frames, seed) + (aside_m, 0.0, 0.0)
    rig = ring_rig(cameras)
    rng = np.random.default_rng(seed + 1)
    xy = np.stack([project_world(camera, truth) for camera in rig.cameras], 1)
    xy = xy + noise_px * rng.standard_normal(xy.shape)
    return PersonRecording(name, 'someone', name, rig, xy, np.ones(xy.shape[:3]), 30.0, truth)


def write_bag(path: Path, seen: PersonRecording, *others: PersonRecording, lost: tuple[int, int] | None = None) -> None:
    """Write people as a bag of keypoints; ``lost`` (frame, camera) was not recorded.

    Cameras are a millisecond apart; who comes first changes; the first camera sees a reflection.
    """
    recorded: dict[str, list[Keypoints2D]] = {name: [] for name in seen.rig.names}
    for frame, (index, name) in product(range(len(seen)), enumerate(seen.rig.names)):
        people = [seen, *others][:: 1 - 2 * ((frame + index) % 2)]
        xy, confidence = [p.xy[frame, index] for p in people], [p.confidence[frame, index] for p in people]
        if index == 0:
            xy, confidence = [seen.xy[frame, 0] + 250.0, *xy], [seen.confidence[frame, 0], *confidence]
        if (frame, index) != lost:
            stamp_ns = NS_PER_S + frame * PERIOD_NS + 1_000_000 * index
            recorded[name].append(Keypoints2D(name, stamp_ns, BODY17, np.stack(xy), np.stack(confidence)))
    write_keypoints_bag(path, seen.rig, recorded)


def write_motion(folder: Path) -> Path:
    """Write a training clip a/walk_1 of 20 frames and a validation clip a/run_1 of 10."""
    np.savez(
        folder / 'motion.npz', joints=np.concatenate([moving_person(20), moving_person(10, 1)]).astype(np.float32),
        clip_start=[0, 20], clip_length=[20, 10], clip_name=['a/walk_1', 'a/run_1'], validation=[False, True],
        fps=np.float32(30.0),
    )
    return folder / 'motion.npz'


def write_rigs(path: Path, rigs: Mapping[str, CameraRig]) -> Path:
    """Write rigs as load_rigs reads them."""
    tree = {
        name: {
            c.name: {
                'width': c.intrinsics.width, 'height': c.intrinsics.height, 'K': c.intrinsics.K.tolist(),
                'distortion_model': 'plumb_bob', 'D': c.intrinsics.D.tolist(),
                'cam_from_world_R': c.cam_from_world[:, :3].tolist(),
                'cam_from_world_t': c.cam_from_world[:, 3].tolist(),
            }
            for c in rig.cameras
        }
        for name, rig in rigs.items()
    }
    path.write_text(json.dumps(tree))
    return path
