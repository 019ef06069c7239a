# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What can be wrong around a live node, for test_troubles.py and benchmarks/live/soak.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

from geo_pose_ros.messages.transforms import rig_to_transforms_stamped, to_transform
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.rigs.topics import TF_MESSAGE
from geo_pose_ros.ros.io.message_factory import message_class
from geo_pose_ros.ros.io.qos import profile
from test.ros.harness import MAKE, RIG, Console, World, changed, small_rig, world

# Between two transforms of a rig that is carried.
TELL_S = 0.01


@dataclass(frozen=True)
class Trouble:
    """A fault: how it begins, words of the line it must have on the console ('' for none), and how it ends.

    What a camera sends is put right anyway. The line that it is over begins with ``end_begins``. Bodies have so many
    ``views`` while it lasts; 0: that is not told.
    """

    name: str
    begin: Callable[[World, str], None]
    words: str
    end: Callable[[World], None] = lambda w: None
    end_begins: str = 'over'
    views: int = 0


def _send(w: World, camera: str, message: Callable[[int], object], what: str = 'behaviour') -> None:
    getattr(w.cameras, what)[camera] = message


def _set(w: World, camera: str) -> None:
    w.node.set_parameters([Parameter('annotated_max_side_px', value=int(np.random.default_rng().integers(64, 1000)))])


def _use(w: World, cameras: Sequence[str]) -> None:
    w.node.set_parameters([Parameter('cameras', value=list(cameras))])


class Surroundings:
    """What is published beside images: /clock, and where the rig is, at rest in `odom`."""

    def __init__(self) -> None:
        self.clock_runs = True
        self.jump_m, self.late_s, self.tells, self.turn = 0.0, 0.0, True, (0.0, 0.0, 0.0, 1.0)
        self._stop = threading.Event()

    def start(self, w: World) -> None:
        """Tell it until ``stop``, from the node that sends images."""
        kind, create = message_class(TF_MESSAGE), w.tester.create_publisher
        clock, tf = create(Clock, '/clock', profile(1, reliable=False)), create(kind, '/tf', profile(100))
        self._static = create(kind, '/tf_static', profile(1, latched=True))
        self._static.publish(kind(transforms=rig_to_transforms_stamped(MAKE, RIG, 0)))

        def tell() -> None:
            while not self._stop.wait(TELL_S):
                if self.clock_runs:
                    clock.publish(Clock(clock=Time(nanoseconds=time.time_ns()).to_msg()))
                if self.tells:
                    tf.publish(kind(transforms=[self._odom_from_world()]))

        self._thread = threading.Thread(target=tell)
        self._thread.start()

    def stop(self) -> None:
        """Tell nothing more."""
        self._stop.set()
        self._thread.join()

    def _odom_from_world(self) -> object:
        stamped = to_transform(MAKE, 'odom', 'world', np.eye(3, 4), time.time_ns() - round(1e9 * self.late_s))
        stamped.transform.translation.x = self.jump_m
        q = stamped.transform.rotation
        q.x, q.y, q.z, q.w = self.turn
        return stamped

    def trouble(self, name: str, words: str, wrong: Mapping[str, object]) -> Trouble:
        """Return what is wrong while the attributes are as ``wrong`` has them."""
        right = {field: getattr(self, field) for field in wrong}
        return Trouble(name, lambda w, c: vars(self).update(wrong), words, lambda w: vars(self).update(right))

    def troubles(self) -> tuple[Trouble, ...]:
        """Return what can be wrong with transforms."""
        return (
            self.trouble('transform jumps', 'jumped by', {'jump_m': 3.0}),
            self.trouble('transform late', 'older than the image', {'late_s': 0.6}),
            self.trouble('transform stops', 'older than the image', {'tells': False}),
            self.trouble('transform wrong', 'expected a unit quaternion', {'turn': (0.0,) * 4}),
        )


def _repeat_stamp(w: World, camera: str) -> None:
    now_ns = time.time_ns()
    _send(w, camera, lambda stamp_ns: w.cameras.compressed(camera, now_ns))


def _inform(w: World, camera: str, **wrong: object) -> None:
    _send(w, camera, changed(w.cameras.info[camera], **wrong), 'info')


LENS = RIG.cameras[0].intrinsics
RIVALS: list[Any] = []
# Of a rig that camera_info calibrates.
INFORMED = (
    Trouble(
        'another lens', lambda w, c: _inform(w, c, k=(np.diag([1.3, 1.3, 1.0]) @ LENS.K).ravel()),
        'another lens from now on', end_begins='camera',
    ),
    Trouble('K = 0', lambda w, c: _inform(w, c, k=np.zeros(9)), 'K = 0', views=4),
    Trouble('frame of a lens', lambda w, c: _inform(w, c, frame_id=''), "names no frame (frame_id is '')", views=4),
    Trouble('camera_info stops', lambda w, c: _send(w, c, lambda ns: None, 'info'), 'no camera_info on', views=4),
    Trouble('damaged', lambda w, c: _send(w, c, lambda ns: b'\0\1\0\0a stamp.', 'info'), 'cannot be read', views=4),
    Trouble(
        'no frame', lambda w, c: _send(w, c, changed(w.cameras.behaviour[c], frame_id='')), 'its images name no frame',
    ),
)
TROUBLES = (
    Trouble('dies', lambda w, c: w.cameras.silence(c), 'silent for', views=3),
    Trouble(
        'garbage', lambda w, c: _send(w, c, lambda ns: w.cameras.compressed(c, ns, b'garbage')), 'expected a JPEG',
        views=3,
    ),
    Trouble(
        'half an image', lambda w, c: _send(w, c, lambda ns: w.cameras.compressed(c, ns, w.cameras.png[c][:500])),
        'truncated PNG', views=3,
    ),
    Trouble('clock', lambda w, c: w.cameras.shift(c, 3_000_000_000), 'its clock is', views=3),
    Trouble('no stamps', lambda w, c: _send(w, c, lambda ns: w.cameras.compressed(c, 0)), 'its stamps are 0'),
    Trouble('stamp stands', _repeat_stamp, 'none of its last', views=3),
    Trouble('all die', lambda w, c: w.cameras.silence_all(), 'no set published'),
    Trouble(
        'same name', lambda w, c: RIVALS.append(w.tester.create_publisher(PointCloud2, '/pose_node/bodies', 5)),
        '1 more publish', lambda w: w.tester.destroy_publisher(RIVALS.pop()),
    ),
    Trouble('parameter', _set, ''),
    Trouble(
        'taken away', lambda w, c: _use(w, [name for name in RIG.names if name != c]), '',
        lambda w: _use(w, RIG.names),
    ),
)


@contextmanager
def happening(w: World, camera: str, trouble: Trouble) -> Iterator[None]:
    """Let ``trouble`` last for a block of code."""
    right, informed = dict(w.cameras.behaviour), dict(w.cameras.info)
    trouble.begin(w, camera)
    try:
        yield
    finally:
        w.cameras.behaviour.update(right)
        w.cameras.info.update(informed)
        trouble.end(w)


@contextmanager
def drills(
    folder: Path, *, is_carried: bool, **settings: Any
) -> Iterator[tuple[World, Console, tuple[Trouble, ...], tuple[Trouble, ...]]]:
    """Give a node of simulated time, its console, what can go wrong with any rig, and what with its own.

    Its rig stands, calibrated by camera_info and /tf_static, or is a file's and carried through `odom`.
    """
    around = Surroundings()
    clock = around.trouble('clock stands', 'simulated time stands', {'clock_runs': False})
    if is_carried:
        (folder / 'rig.yaml').write_text(dump_rig(small_rig()), encoding='utf-8')
        # A machine that is busy tells of transforms late by itself.
        settings |= {
            'rig_path': str(folder / 'rig.yaml'), 'tracking_frame': 'odom', 'transform_wait_ms': 300.0,
        }
    else:
        settings |= {'cameras': list(RIG.names)}
    with world('compressed', use_sim_time=True, **settings) as w:
        around.start(w)
        try:
            yield w, Console(w), (*TROUBLES, clock), around.troubles() if is_carried else INFORMED
        finally:
            around.stop()
