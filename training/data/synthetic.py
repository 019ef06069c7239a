# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Multi-view keypoints of mocap clips: random bodies before real rigs, seen through a noisy detector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.simulation.detector import NoiseSettings, detect_person, detector_joints
from geo_pose_ros.simulation.motion import MotionClip, act, random_body, random_people, rescale_bones, stature_m
from geo_pose_ros.types import Camera, CameraRig, Intrinsics

from ..labels.triangulation import bone_lengths
from .recording import PersonRecording

# Bodies: shortest and tallest; standard deviation of the logarithm of limb lengths.
_SHORTEST_M, _TALLEST_M, _PROPORTIONS = 1.45, 1.95, 0.03
# Hips of unusual people from the pelvis, of the stature: the least and the largest of mocap17's skeletons.
_HIPS = (0.039, 0.057)
# Largest distance of a clip from the centre of the room, per axis.
_WANDER_M = 0.5


def load_rigs(path: Path) -> dict[str, CameraRig]:
    """Load {rig: {camera: {width, height, K, distortion_model, D, cam_from_world_R, cam_from_world_t}}} from JSON.

    Raises:
        CalibrationError: if the file cannot be read or lacks a key.
    """
    try:
        tree = json.loads(path.read_text(encoding='utf-8'))
        return {name: _rig(cameras) for name, cameras in tree.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CalibrationError(f"Rigs '{path}': {error!r}; expected the JSON described in load_rigs.") from error


def _rig(cameras: dict[str, dict[str, object]]) -> CameraRig:
    made = []
    for name, c in cameras.items():
        intrinsics = Intrinsics(
            np.array(c['K'], float), np.array(c['D'], float), str(c['distortion_model']), int(str(c['width'])),
            int(str(c['height'])),
        )
        extrinsics = np.column_stack((np.array(c['cam_from_world_R'], float), np.array(c['cam_from_world_t'], float)))
        made.append(Camera(name, f'{name}_optical_frame', intrinsics, extrinsics))
    return CameraRig(tuple(made))


def room_centre(rig: CameraRig) -> FloatArray:
    """Return the point (3,) m on the floor (z = 0) below where the optical axes come closest to each other."""
    axes = np.stack([camera.cam_from_world[2, :3] for camera in rig.cameras])
    off_axis: FloatArray = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    positions = np.stack([camera.position_m for camera in rig.cameras])
    normal, right = off_axis.sum(0), (off_axis @ positions[:, :, None])[..., 0].sum(0)
    centre: FloatArray = np.linalg.solve(normal, right)
    centre[2] = 0.0
    return centre


def synthesise(
    clip: MotionClip, rig_name: str, rig: CameraRig, noise: NoiseSettings, seed: int, people: str = 'usual'
) -> PersonRecording:
    """Return what ``rig`` and a noisy detector see of ``clip``; the same arguments give the same numbers.

    ``people``: usual ones, children (1.0 to 1.45 m, and so proportioned), or those of extreme proportions (every limb
    the shortest or longest of 100 people).
    """
    rng = np.random.default_rng([seed, *f'{rig_name}/{clip.name}'.encode()])
    truth = _acted(clip, people, rng) + room_centre(rig)
    truth[..., :2] += rng.uniform(-_WANDER_M, _WANDER_M, 2)
    xy, confidence = detect_in_rig(rig, truth, noise, rng)
    action = clip.name.split('/')[-1].rsplit('_', 1)[0]
    return PersonRecording(f'{rig_name}/{clip.name}', rig_name, action, rig, xy, confidence, clip.fps, truth)


def _acted(clip: MotionClip, people: str, rng: np.random.Generator) -> FloatArray:
    if people == 'usual':
        return random_body(clip, rng, low_m=_SHORTEST_M, high_m=_TALLEST_M, spread=_PROPORTIONS)
    children = people == 'children'
    factors = random_people(
        rng, bone_lengths(clip.joints), 1, children=float(children), hips=_HIPS, extreme=not children
    )[0]
    stature = stature_m(rescale_bones(clip.joints, factors)) if children else rng.uniform(_SHORTEST_M, _TALLEST_M)
    return act(clip, factors, stature, rng)


def detect_in_rig(
    rig: CameraRig, joints: FloatArray, noise: NoiseSettings, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return what a noisy detector finds in each view of joints (F, J, 3) m: px (F, C, J, 2), confidence (F, C, J)."""
    by_detector = detector_joints(joints, noise.definition)
    xy, confidence = zip(*(
        detect_person(project_world(c, by_detector), (c.intrinsics.width, c.intrinsics.height), noise, rng)
        for c in rig.cameras
    ), strict=True)
    return np.stack(xy, 1), np.stack(confidence, 1)
