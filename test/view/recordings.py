"""Bags of a walk, as a node or `geo_pose process` leaves them, with images on demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.read import BagMessage, BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.clouds.bodies import bodies_to_cloud
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.messages.diagnostics import Level, Status, diagnostics_to_message
from geo_pose_ros.messages.image import compressed_from_frame
from geo_pose_ros.messages.transforms import rig_to_transforms
from geo_pose_ros.types import CameraRig, Frame

from ..evaluation.moving import RATE_HZ, START_NS, bodies_at, pose, seen_by, stamp_of
from ..scenes import person, ring_rig

MAKE = RosbagsFactory()


def second_person(time_s: float) -> FloatArray:
    """Return somebody (17, 3) who stands beside the walk."""
    return person(7, (1.3, -0.9), 0.4 * time_s)


def write_walk(
    path: Path, *, sets: int = 60, rig: CameraRig | None = None, people: int = 1, bodies: bool = True,
    keypoints: bool = True, images: bool = False, infos: bool = True, latency_ms: float = 0.0,
    shift: Callable[[str, int], tuple[float, float]] = lambda name, number: (0.0, 0.0),
) -> CameraRig:
    """Write a bag; return its rig. A camera's images are as bright as 40 + the number of the set, modulo 100."""
    rig = rig or ring_rig(4)
    with BagWriter(path) as writer:
        if infos:
            writer.write('/tf_static', rig_to_transforms(MAKE, rig, START_NS), START_NS)
            for camera in rig.cameras:
                info = camera_info_from_intrinsics(MAKE, camera.intrinsics, START_NS, camera.frame_id)
                writer.write(f'/{camera.name}/camera_info', info, START_NS)
        for number in range(sets):
            stamp_ns = stamp_of(number)
            at_ns = stamp_ns + round(latency_ms * 1e6)
            walkers = [pose(number / RATE_HZ), second_person(number / RATE_HZ)][:people]
            for camera in rig.cameras:
                if images:
                    grey = np.full((96, 128, 3), 40 + number % 100, np.uint8)
                    message = compressed_from_frame(MAKE, Frame(camera.name, stamp_ns, grey), camera.frame_id)
                    writer.write(f'/{camera.name}/image_raw/compressed', message, stamp_ns)
                if keypoints and walkers:
                    found = seen_by(rig, camera.name, np.stack(walkers), stamp_ns, shift(camera.name, number))
                    cloud = keypoints_to_cloud(MAKE, found, camera.frame_id)
                    writer.write(f'/pose_node/keypoints/{camera.name}', cloud, at_ns)
            if bodies:
                found_bodies = bodies_at(number, walkers, (0, 1))
                writer.write('/pose_node/bodies', bodies_to_cloud(MAKE, found_bodies), at_ns)
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


def cut_short(path: Path) -> None:
    """Leave two thirds of a bag's file, and no metadata, as a recorder that still runs does."""
    [file] = path.glob('*.mcap')
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    (path / 'metadata.yaml').unlink()
