# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Feed damaged messages of every type the node takes to what reads them, within limits of time and memory.

    make fuzz SECONDS=60, or python -m test.fuzz.messages [--seconds 60] [--messages N] [--seed 0]

Each message is a valid one, serialised, with bytes changed, cut, doubled or exchanged; images are also damaged before
they are serialised. Only the package's own errors may come of it, within the time and memory of one message. Prints
what came of them, and fails at the first that broke a limit, with the seed that makes it again.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from geo_pose_ros.bags.message_factory import TYPESTORE, RosbagsFactory
from geo_pose_ros.errors import GeoPoseError
from geo_pose_ros.messages.camera_info import (
    camera_info_from_intrinsics,
    intrinsics_from_camera_info,
    rectified_from_camera_info,
)
from geo_pose_ros.messages.cdr import header_stamp_ns, read_compressed_image, read_image
from geo_pose_ros.messages.clouds.keypoints import keypoints_from_cloud, keypoints_to_cloud
from geo_pose_ros.messages.image import ENCODINGS, frame_from_message
from geo_pose_ros.messages.stamps import to_header
from geo_pose_ros.messages.transforms import rig_to_transforms
from geo_pose_ros.rigs.topics import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, POINT_CLOUD, TF_MESSAGE
from geo_pose_ros.rigs.transform_buffer import TransformBuffer
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Camera, CameraRig, Intrinsics, Keypoints2D

LIMIT_S, LIMIT_MB = 0.5, 200.0
Rng = np.random.Generator
MAKE = RosbagsFactory()
LENS = Intrinsics([[300, 0, 160], [0, 300, 120], [0, 0, 1]], [-0.2, 0.05, 0, 0, 0], 'plumb_bob', 320, 240)
RIG = CameraRig((Camera('left', 'left_optical_frame', LENS, np.eye(3, 4)),))


def damage(data: bytes, rng: Rng) -> bytes:
    """Return ``data`` with one to four faults."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not out:
            break
        at, length = int(rng.integers(len(out))), int(rng.integers(1, 9))
        kind = rng.integers(6)
        if kind == 0:
            out[at] = int(rng.integers(256))
        elif kind == 1:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del out[at:]
        elif kind == 3:
            out[at:at] = out[at : at + length]
        elif kind == 4:
            out[at : at + length] = bytes([int(rng.choice([0, 0x7F, 0x80, 0xFF]))]) * length
        else:
            # Headers are where it hurts.
            out[min(at, int(rng.integers(1, 64))) % len(out)] = int(rng.integers(256))
    return bytes(out)


def cdr(message: Any) -> bytes:
    """Return ``message`` serialised."""
    return bytes(TYPESTORE.serialize_cdr(message, message.__msgtype__))


def compressed(rng: Rng) -> bytes:
    """Return a CompressedImage, its image damaged in half of the cases."""
    size = rng.integers(2, 100, 2).tolist()
    image = rng.integers(0, 256, (*size, 3), np.uint8) if rng.random() < 0.5 else np.zeros((*size, 3), np.uint8)
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(rng.integers(2))]
    codec = rng.choice(['.jpg', '.png'])
    data = cv2.imencode(str(codec), image, options if codec == '.jpg' else [])[1].tobytes()
    data = damage(data, rng) if rng.random() < 0.5 else data
    return cdr(MAKE(COMPRESSED_IMAGE, header=to_header(MAKE, 5, 'left'), format=str(codec[1:]),
                    data=np.frombuffer(data, np.uint8)))


def raw(rng: Rng) -> bytes:
    """Return an Image of any encoding, its numbers wrong in half of the cases."""
    height, width = (int(n) for n in 2 * rng.integers(1, 40, 2))
    step = width * int(rng.integers(1, 9))
    rows = int(rng.choice([height, height + height // 2]))
    if rng.random() < 0.5:
        height, width, step = (int(n) for n in rng.integers(0, 2 ** int(rng.integers(1, 32)), 3))
    data = rng.integers(0, 256, min(rows * step, 100_000), np.uint8)
    return cdr(MAKE(IMAGE, header=to_header(MAKE, 5, 'left'), height=height, width=width, step=step,
                    encoding=str(rng.choice(ENCODINGS)), is_bigendian=int(rng.integers(2)), data=data))


def keypoints(rng: Rng) -> bytes:
    """Return a keypoint cloud."""
    people = int(rng.integers(0, 4))
    found = Keypoints2D('left', 5, BODY17, rng.normal(0, 1e3, (people, 17, 2)), rng.random((people, 17)))
    return cdr(keypoints_to_cloud(MAKE, found, 'left'))


def camera_info(rng: Rng) -> bytes:
    """Return a CameraInfo."""
    return cdr(camera_info_from_intrinsics(MAKE, LENS, 5, 'left'))


def transforms(rng: Rng) -> bytes:
    """Return a TFMessage."""
    return cdr(rig_to_transforms(MAKE, RIG, 5))


def decode(data: bytes, message_type: str) -> Any:
    """Return the message; what the middleware's own decoder cannot read never reaches the node."""
    try:
        return TYPESTORE.deserialize_cdr(data, message_type)
    except Exception:  # noqa: BLE001 - not ours to judge
        return None


def _decoded(message_type: str, read: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """Return what decodes a message and, where that is possible, reads it."""
    def take(data: bytes) -> None:
        message = decode(data, message_type)
        if message is not None:
            read(message)

    return take


def _look_up(message: Any) -> None:
    buffer = TransformBuffer()
    for static in (False, True):
        buffer.add(message.transforms, static=static)
        buffer.lookup('world', 'left_optical_frame', None)


# How a message is made, and what the node does with its bytes.
TARGETS: dict[str, tuple[Callable[[Rng], bytes], Callable[[bytes], Any]]] = {
    'compressed': (compressed, lambda b: (header_stamp_ns(b), frame_from_message(read_compressed_image(b), 'left'))),
    'raw': (raw, lambda b: (header_stamp_ns(b), frame_from_message(read_image(b), 'left', None, 64))),
    'keypoints': (keypoints, _decoded(POINT_CLOUD, lambda m: keypoints_from_cloud(m, 'left'))),
    'camera_info': (camera_info, _decoded(CAMERA_INFO, lambda m: intrinsics_from_camera_info(m, 'left'))),
    'camera_info of rectified': (camera_info, _decoded(CAMERA_INFO, lambda m: rectified_from_camera_info(m, 'left'))),
    'transforms': (transforms, _decoded(TF_MESSAGE, _look_up)),
}


def one(target: str, seed: int) -> tuple[str, float, float]:
    """Feed the message of ``seed``; return what came of it, in how many s, and by how many MB the peak rose."""
    make, read = TARGETS[target]
    rng = np.random.default_rng(seed)
    data = damage(make(rng), rng)
    before_kb, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        read(data)
        outcome = 'read'
    except GeoPoseError as error:
        outcome = type(error).__name__
    took_s = time.perf_counter() - began
    return outcome, took_s, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024


def fuzz(seconds: float, messages: int, seed: int) -> tuple[Counter[str], float, float]:
    """Feed messages until ``seconds`` or ``messages`` are over; return outcomes, worst s and worst MB of one.

    Raises:
        RuntimeError: for a message that took too much, or anything but our own errors, with how to repeat it.
    """
    outcomes: Counter[str] = Counter()
    worst_s = worst_mb = 0.0
    ends = time.monotonic() + seconds
    number = 0
    while number < messages and time.monotonic() < ends:
        for target in TARGETS:
            again = f"one('{target}', {seed + number})"
            try:
                outcome, took_s, took_mb = one(target, seed + number)
            except Exception as error:
                raise RuntimeError(f'{again}: {type(error).__name__}: {error}') from error
            if took_s > LIMIT_S or took_mb > LIMIT_MB:
                # A machine that is busy with other things may stall once.
                _, took_s, took_mb = one(target, seed + number)
                if took_s > LIMIT_S or took_mb > LIMIT_MB:
                    raise RuntimeError(f'{again}: {took_s:.2f} s, {took_mb:.0f} MB; allowed {LIMIT_S} s, {LIMIT_MB} MB')
            outcomes[f'{target}: {outcome}'] += 1
            worst_s, worst_mb = max(worst_s, took_s), max(worst_mb, took_mb)
            number += 1
    return outcomes, worst_s, worst_mb


def main() -> int:
    """Fuzz and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--messages', type=int, default=sys.maxsize)
    parser.add_argument('--seed', type=int, default=0)
    given = parser.parse_args()
    try:
        outcomes, worst_s, worst_mb = fuzz(given.seconds, given.messages, given.seed)
    except RuntimeError as error:
        print(f'BROKEN: {error}')
        return 1
    for outcome, count in sorted(outcomes.items()):
        print(f'{count:9d}  {outcome}')
    print(f'{sum(outcomes.values())} messages; worst {worst_s * 1e3:.0f} ms, memory rose by {worst_mb:.0f} MB at most')
    return 0


if __name__ == '__main__':
    sys.exit(main())
