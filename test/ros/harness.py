# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Live cameras and listeners for pose_node tests; every wait has a condition and a limit."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from rcl_interfaces.msg import Log
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.clouds.bodies import bodies_from_cloud
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.messages.stamps import stamp_of, to_header
from geo_pose_ros.ros.health import diagnostics
from geo_pose_ros.ros.io.message_factory import RclpyFactory
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.nodes.pose_node import PoseNode
from geo_pose_ros.simulation.walks import GRID_HZ
from geo_pose_ros.skeleton import BODY17, Skeleton
from geo_pose_ros.types import Bodies3D, CameraRig, Frame, Keypoints2D, PredictedPeople
from test.scenes import keypoints, person, ring_rig

WIDTH, HEIGHT = 320, 240


def small_rig() -> CameraRig:
    """Return ring_rig with a quarter of its pixels along each side, so that raw pictures are small."""
    rig = ring_rig(4)
    scale = np.diag([WIDTH / rig.cameras[0].intrinsics.width, HEIGHT / rig.cameras[0].intrinsics.height, 1.0])
    return CameraRig(
        tuple(
            replace(c, intrinsics=replace(c.intrinsics, K=scale @ c.intrinsics.K, width=WIDTH, height=HEIGHT))
            for c in rig.cameras
        ),
        rig.world_frame_id,
    )


RIG = small_rig()
PERSON = person(3)
PERIOD_S = 0.03
LIMIT_S = 30.0
MAKE = RclpyFactory()
TYPES = {'keypoints': PointCloud2, 'compressed': CompressedImage, 'raw': Image}
# What a camera sends at a stamp; None: nothing.
Behaviour = Callable[[int], Any]


def until(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
    """Return the first true value of ``condition``; fail after ``limit_s``."""
    end = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f'not within {limit_s:g} s: {what}')
        time.sleep(0.005)
    return value


def changed(send: Behaviour, **fields: Any) -> Behaviour:
    """Return what sends as ``send`` does, but for some ``fields``; frame_id is its header's."""
    def other(stamp_ns: int) -> Any:
        message = send(stamp_ns)
        for field, value in fields.items():
            setattr(message.header if field == 'frame_id' else message, field, value)
        return message

    return other


class PixelDetector:
    """Reads the keypoints that ``picture`` wrote into the first row of the image."""

    is_batched = False

    def __init__(self, config: DetectorConfig) -> None:
        self.skeleton: Skeleton = BODY17

    def detect(
        self, frames: Mapping[str, Frame], expected: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        return {name: self._read(frame, expected.get(name)) for name, frame in frames.items()}

    @staticmethod
    def _read(frame: Frame, expected: PredictedPeople | None) -> Keypoints2D:
        hints = np.array([expected.body_ids[0] if expected is not None and len(expected) else -1])
        xy = np.frombuffer(frame.image[0].tobytes()[: 17 * 2 * 4], np.float32).reshape(1, 17, 2).astype(float)
        return Keypoints2D(frame.camera, frame.stamp_ns, BODY17, frame.to_raw(xy), np.ones((1, 17)), hints)

    def close(self) -> None:
        pass


def picture(xy: FloatArray, width: int = WIDTH, height: int = HEIGHT) -> Any:
    """Return a black image (H, W, 3) that holds keypoints (17, 2)."""
    image = np.zeros((height, width, 3), np.uint8)
    code = np.frombuffer(xy.astype(np.float32).tobytes(), np.uint8)
    image[0].reshape(-1)[: len(code)] = code
    return image


class Cameras:
    """Publishes all cameras of RIG with equal stamps, until told otherwise per camera."""

    def __init__(self, node: Node, transport: str, qos: QoSProfile, infos: bool = False) -> None:
        self.rig: CameraRig = RIG
        self._node = node
        suffix = {'keypoints': 'keypoints', 'compressed': 'image_raw/compressed', 'raw': 'image_raw'}[transport]
        self._publishers = {
            name: node.create_publisher(TYPES[transport], f'{name}/{suffix}', qos) for name in RIG.names
        }
        self._infos = {
            name: node.create_publisher(CameraInfo, f'{name}/camera_info', qos) for name in RIG.names if infos
        }
        seen = keypoints(RIG, [PERSON])
        self.xy: dict[str, FloatArray] = {name: seen[name].xy[0] for name in RIG.names}
        self.png = {name: cv2.imencode('.png', picture(xy))[1].tobytes() for name, xy in self.xy.items()}
        self.behaviour: dict[str, Behaviour] = {name: partial(getattr(self, transport), name) for name in RIG.names}
        self.info: dict[str, Behaviour] = {name: partial(self.camera_info, name) for name in RIG.names}
        self.sent_ns: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def keypoints(self, name: str, stamp_ns: int) -> Any:
        found = Keypoints2D(name, stamp_ns, BODY17, self.xy[name][None], np.ones((1, 17)))
        return keypoints_to_cloud(MAKE, found, RIG[name].frame_id)

    def compressed(self, name: str, stamp_ns: int, data: bytes | None = None) -> Any:
        raw = np.frombuffer(self.png[name] if data is None else data, np.uint8)
        header = to_header(MAKE, stamp_ns, RIG[name].frame_id)
        return MAKE('sensor_msgs/msg/CompressedImage', header=header, format='png', data=raw)

    def raw(self, name: str, stamp_ns: int, encoding: str = 'bgr8', width: int = WIDTH) -> Any:
        image = picture(self.xy[name], width)
        return MAKE(
            'sensor_msgs/msg/Image', header=to_header(MAKE, stamp_ns, RIG[name].frame_id), height=HEIGHT, width=width,
            encoding=encoding, step=3 * width, data=image.reshape(-1),
        )

    def camera_info(self, name: str, stamp_ns: int) -> Any:
        return camera_info_from_intrinsics(MAKE, RIG[name].intrinsics, stamp_ns, RIG[name].frame_id)

    def silence(self, name: str) -> None:
        self.behaviour[name] = lambda stamp_ns: None

    def silence_all(self) -> None:
        for name in RIG.names:
            self.silence(name)

    def shift(self, name: str, offset_ns: int) -> None:
        """Let the clock of a camera be wrong from now on."""
        right = self.behaviour[name]
        self.behaviour[name] = lambda stamp_ns: right(stamp_ns + offset_ns)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            stamp_ns = time.time_ns()
            self.sent_ns.append(stamp_ns)
            for senders, publishers in ((self.behaviour, self._publishers), (self.info, self._infos)):
                for name, publisher in publishers.items():
                    message = senders[name](stamp_ns)
                    if message is not None:
                        publisher.publish(message)
            due += PERIOD_S
            self._stop.wait(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


class Walkers:
    """Lets the cameras see people walk to and fro, each person's own joints (F, 17, 3) m at GRID_HZ.

    Attributes:
        rig: the cameras as they stand now.
    """

    def __init__(self, cameras: Cameras, *motions: FloatArray, lost: float = 0.0) -> None:
        self.rig, self._motions, self._lost = RIG, np.stack(motions, 1), lost
        self._start_ns, self._rng = time.time_ns(), np.random.default_rng(0)
        for name in RIG.names:
            cameras.behaviour[name] = partial(self._seen, name)

    def joints(self, stamp_ns: int) -> FloatArray:
        """Return the joints (P, 17, 3) m at a stamp."""
        last = len(self._motions) - 1
        at = last - abs((stamp_ns - self._start_ns) / 1e9 * GRID_HZ % (2 * last) - last)
        low = min(int(at), last - 1)
        joints: FloatArray = self._motions[low] + (at - low) * (self._motions[low + 1] - self._motions[low])
        return joints

    def _seen(self, name: str, stamp_ns: int) -> Any:
        """Return what a camera sees: half a pixel of noise, in any order, without ``lost`` of people and of joints."""
        xy = project_world(self.rig[name], self.joints(stamp_ns))
        xy += self._rng.normal(0.0, 0.5, xy.shape)
        xy[self._rng.random(xy.shape[:2]) < self._lost] = np.nan
        xy = self._rng.permutation(xy[self._rng.random(len(xy)) >= self._lost])
        found = Keypoints2D(name, stamp_ns, BODY17, xy, np.where(np.isnan(xy[..., 0]), 0.0, 1.0))
        return keypoints_to_cloud(MAKE, found, RIG[name].frame_id)


class World:
    """A pose_node, its cameras, and what it published."""

    def __init__(self, node: PoseNode, tester: Node, cameras: Cameras, executor: SingleThreadedExecutor) -> None:
        self.node, self.tester, self.cameras, self.executor = node, tester, cameras, executor
        self.bodies: list[Bodies3D] = []
        self.statuses: dict[str, Any] = {}
        from diagnostic_msgs.msg import DiagnosticArray

        self.listen(PointCloud2, '/pose_node/bodies', lambda m: self.bodies.append(bodies_from_cloud(m)))
        self.listen(DiagnosticArray, '/diagnostics', self._on_diagnostics)

    def listen(self, kind: Any, topic: str, callback: Callable[[Any], Any], qos: QoSProfile | None = None) -> Any:
        return self.tester.create_subscription(kind, topic, callback, qos or profile(50))

    def _on_diagnostics(self, message: Any) -> None:
        self.statuses = {status.name.removeprefix('pose_node: '): status for status in message.status}

    def new_bodies(self, count: int = 3, views: int | None = None) -> list[Bodies3D]:
        """Wait for ``count`` further sets with a body, seen by ``views`` cameras."""
        before = list(self.bodies)
        known = {id(bodies) for bodies in before}

        def fresh() -> list[Bodies3D]:
            # Whoever listens for hours forgets old ones meanwhile.
            found = [b for b in list(self.bodies) if id(b) not in known and len(b)]
            return [b for b in found if views is None or (b.num_views == views).all()]

        try:
            until(lambda: len(fresh()) >= count, f'{count} bodies with {views or "any"} views')
        except AssertionError as error:
            said = {name: status.message for name, status in self.statuses.items()}
            raise AssertionError(f'{error}; {sum(id(b) not in known for b in self.bodies)} sets came; {said}') from None
        return fresh()

    def reported(self, status: str, *words: str) -> Any:
        """Wait until the diagnostics of ``status`` say all ``words``."""

        def says() -> Any:
            found = self.statuses.get(status)
            return found if found is not None and all(word in found.message for word in words) else None

        try:
            return until(says, f'{status}: {words}')
        except AssertionError as error:
            raise AssertionError(f'{error}; it says: {getattr(self.statuses.get(status), "message", None)}') from None

    def values(self, status: str) -> Mapping[str, str]:
        said = until(lambda: self.statuses.get(status), status)
        return {pair.key: pair.value for pair in said.values}


@contextmanager
def world(
    transport: str, *, rig_path: str = '', camera_qos: QoSProfile | None = None, autostart: bool = True,
    before_start: Callable[[Cameras], None] = lambda cameras: None, node_transport: str = '',
    cli_args: Sequence[str] = (), **parameters: Any,
) -> Iterator[World]:
    """Yield a running World; ``parameters`` with __ for dots override the node's."""
    values = {
        'transport': node_transport or transport, 'rig': rig_path, 'diagnostics_period_s': 0.1, 'stale_after_s': 0.5,
        # Triangulation alone, so that exact keypoints give exact joints.
        'pipeline.detector.max_side_px': 0, 'pipeline.lifter.enabled': False,
        **{name.replace('__', '.'): v for name, v in parameters.items()},
    }
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    # A node of the same name that is freed later would take this one's /rosout with it (rcl, logging_rosout).
    gc.collect()
    node = PoseNode(parameter_overrides=overrides, cli_args=list(cli_args) or None)
    tester = Node('tester')
    executor = SingleThreadedExecutor()
    thread = threading.Thread(target=_spin, args=(executor,), daemon=True)
    cameras = Cameras(tester, transport, camera_qos or profile(5), infos=not rig_path)
    try:
        running = World(node, tester, cameras, executor)
        before_start(cameras)
        if autostart:
            node.autostart()
        executor.add_node(node)
        executor.add_node(tester)
        thread.start()
        cameras.start()
        # What is wrong is said as on a machine that is not busy.
        with patch.object(diagnostics, '_BUSY', 2.0):
            yield running
    finally:
        cameras.stop()
        executor.shutdown()
        if thread.ident is not None:
            thread.join()
        node.close()
        node.destroy_node()
        tester.destroy_node()


class Console:
    """What a node logs: pose_node, or that of another name."""

    def __init__(self, w: World, name: str = 'pose_node') -> None:
        self.lines: list[str] = []
        self.times_s: list[float] = []
        self._name = name
        # Also what was said before.
        w.listen(Log, '/rosout', self._on_line, profile(1000, latched=True))

    def _on_line(self, message: Log) -> None:
        if message.name == self._name:
            self.times_s.append(time.monotonic())
            self.lines.append(message.msg)

    def first_s(self, words: str, since_s: float, begins: str = '') -> float | None:
        """Return when the first line with ``words`` came, in s after ``since_s``; one that ``begins`` so."""
        found = [at - since_s for at, line in zip(self.times_s, self.lines, strict=False)
                 if at >= since_s and words in line and line.startswith(begins)]
        return found[0] if found else None

    def says(self, *words: str) -> str:
        """Wait for a line with all ``words``."""
        return until(
            lambda: next((line for line in self.lines if all(word in line for word in words)), ''),
            f'{words} among {self.lines}',
        )


def _spin(executor: SingleThreadedExecutor) -> None:
    """Spin until shutdown, also when a node is destroyed while it is waited for: rclpy raises in the waiting thread."""
    while True:
        try:
            executor.spin()
        except rclpy_implementation.InvalidHandle:
            continue
        return


def published_at(message: Any) -> int:
    """Return the stamp of a message, ns."""
    return stamp_of(message)
