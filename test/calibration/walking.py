# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""People who walk, as exact motion, and what cameras and a detector make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from geo_pose_ros.arrays import BoolArray, FloatArray
from geo_pose_ros.calibration.clocks import with_clocks
from geo_pose_ros.calibration.world import align_rig
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.simulation.cameras import perturb_rig
from geo_pose_ros.simulation.recordings import START_NS, record_people
from geo_pose_ros.simulation.walks import GRID_HZ, headings, placed, walk_on_spot, walker, walks
from geo_pose_ros.types import Camera, CameraRig, Keypoints2D

__all__ = ['FPS', 'START_NS', 'errors_as_is', 'images', 'perturbed', 'pose_errors', 'walk']

FPS = 20.0


def walk(seconds: float, seed: int = 0, reach_m: float = 1.5, fps: float = FPS) -> FloatArray:
    """Return a person (F, 17, 3) m who walks about within ``reach_m`` of the origin, z up, bones of constant length."""
    rng = np.random.default_rng(seed)
    body = walk_on_spot(walker(rng, seconds + 1.0), 1.0)
    paths = walks(rng, 1, 0.6, reach_m, round(seconds * GRID_HZ))
    return placed(body[: len(paths), None], paths, headings(paths, rng))[:: round(GRID_HZ / fps), 0]


def images(
    rig: CameraRig, people: Sequence[FloatArray], *, noise_px: float = 0.0, seed: int = 0,
    offsets_s: Sequence[float] = (), drift: Sequence[float] = (), outliers: float = 0.0,
    seen_by: Mapping[str, BoolArray] | None = None,
) -> dict[str, list[Keypoints2D]]:
    """Return every camera's detections of ``people`` (F, 17, 3) m; ``outliers`` of the keypoints are up to 150 px off.

    Args:
        offsets_s, drift: of the cameras' clocks.
        seen_by: see ``record_people``.
    """
    rng = np.random.default_rng(seed)

    def detect(camera: Camera, joints: FloatArray) -> tuple[FloatArray, FloatArray]:
        exact = project_world(camera, joints)
        xy = exact + rng.normal(0.0, noise_px, exact.shape)
        wild = rng.random(xy.shape[:-1]) < outliers
        xy[wild] += rng.uniform(-150.0, 150.0, xy[wild].shape)
        return xy, np.where(np.isfinite(xy).all(-1), 0.9, 0.0)

    none = np.zeros(len(rig))
    clocked = with_clocks(rig, *(np.array(clock) if len(clock) else none for clock in (offsets_s, drift)))
    return record_people(clocked, people, FPS, detect, rng, seen_by)


def perturbed(rig: CameraRig, degrees: float, metres: float, seed: int = 0) -> CameraRig:
    """Return the rig with every camera turned and moved by so much in a random direction."""
    return perturb_rig(rig, degrees, metres, np.random.default_rng(seed))


def pose_errors(rig: CameraRig, truth: CameraRig) -> tuple[FloatArray, FloatArray, float]:
    """Return the cameras' rotation errors (degrees), position errors (mm) after aligning the world, and its scale."""
    change = align_rig(rig, truth, 4.0)
    return (*errors_as_is(change.rig(rig), truth), change.scale)


def errors_as_is(rig: CameraRig, truth: CameraRig) -> tuple[FloatArray, FloatArray]:
    """Return rotation errors (degrees) and position errors (mm) without aligning anything."""
    found, true = (np.stack([c.cam_from_world[:, :3] for c in r.cameras]) for r in (rig, truth))
    turns = Rotation.from_matrix(found @ true.swapaxes(1, 2)).magnitude()
    moved_m = [a.position_m - b.position_m for a, b in zip(rig.cameras, truth.cameras, strict=True)]
    return np.degrees(turns), 1e3 * np.linalg.norm(moved_m, axis=1)
