"""Multi-view keypoints of mocap clips: random bodies before real rigs, seen through a noisy detector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.settings import setting
from geo_pose_ros.simulation.detector import NoiseSettings, detect_person, detector_joints
from geo_pose_ros.simulation.motion import MotionClip, random_body
from geo_pose_ros.types import Camera, CameraRig, Intrinsics

from .recording import PersonRecording


@dataclass(frozen=True, slots=True)
class SyntheticSettings:
    """How mocap becomes keypoints."""

    stature_low_m: float = setting(1.45, 'Shortest body', unit='m', low=0.5, high=2.5)
    stature_high_m: float = setting(1.95, 'Tallest body', unit='m', low=0.5, high=2.5)
    proportions: float = setting(0.03, 'Standard deviation of the logarithm of limb lengths', low=0.0, high=0.5)
    wander_m: float = setting(
        0.5, 'Largest distance of a clip from the centre of the room, per axis', unit='m', low=0.0, high=10.0
    )
    noise: NoiseSettings = field(default_factory=NoiseSettings)


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
    clip: MotionClip, rig_name: str, rig: CameraRig, settings: SyntheticSettings, seed: int
) -> PersonRecording:
    """Return what ``rig`` and a noisy detector see of ``clip``; the same arguments give the same numbers."""
    words = [seed, *f'{rig_name}/{clip.name}'.encode()]
    rng = np.random.default_rng(words)
    truth = random_body(
        clip, rng, low_m=settings.stature_low_m, high_m=settings.stature_high_m, spread=settings.proportions
    )
    truth = truth + room_centre(rig)
    truth[..., :2] += rng.uniform(-settings.wander_m, settings.wander_m, 2)
    seen_by_detector = detector_joints(truth, settings.noise.definition)
    xy, confidence = [], []
    for camera in rig.cameras:
        exact = project_world(camera, seen_by_detector)
        size = camera.intrinsics.width, camera.intrinsics.height
        noisy = detect_person(exact, size, settings.noise, rng)
        xy.append(noisy[0])
        confidence.append(noisy[1])
    action = clip.name.split('/')[-1].rsplit('_', 1)[0]
    return PersonRecording(
        f'{rig_name}/{clip.name}', rig_name, action, rig, np.stack(xy, 1), np.stack(confidence, 1), clip.fps, truth
    )


def synthesise_all(
    clips: Sequence[MotionClip], rigs: dict[str, CameraRig], settings: SyntheticSettings, seed: int
) -> list[PersonRecording]:
    """Return every clip before every rig."""
    return [synthesise(clip, name, rig, settings, seed) for name, rig in rigs.items() for clip in clips]
