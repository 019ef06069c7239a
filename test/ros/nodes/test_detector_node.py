# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""detector_node beside pose_node over live topics: keypoints one way, expected people the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from geo_pose_ros.errors import ConfigError, GeoPoseError
from geo_pose_ros.messages.clouds.keypoints import keypoints_from_cloud, keypoints_to_cloud
from geo_pose_ros.messages.clouds.predictions import predicted_from_cloud, predicted_to_cloud
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.nodes.detector_node import DetectorNode
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D, PredictedPeople
from test.ros.harness import MAKE, PERSON, RIG, Console, World, until, world

ALL = list(RIG.names)


@contextmanager
def detecting(w: World, cameras: list[str], name: str = 'detector_node', **parameters: Any) -> Iterator[DetectorNode]:
    """Yield a detector_node for ``cameras`` in the world of ``w``."""
    values = {
        'cameras': cameras, 'diagnostics_period_s': 0.1, 'stale_after_s': 0.5, 'detector.max_side_px': 0,
        **{key.replace('__', '.'): value for key, value in parameters.items()},
    }
    node = DetectorNode(
        parameter_overrides=[Parameter(key, value=value) for key, value in values.items()],
        cli_args=['--ros-args', '-r', f'__node:={name}'],
    )
    try:
        node.autostart()
        w.executor.add_node(node)
        yield node
    finally:
        w.executor.remove_node(node)
        node.close()
        node.destroy_node()


def test_bodies_from_keypoints_of_a_detector_node_and_whom_it_is_told_to_expect(rig_path: str) -> None:
    with world('compressed', rig_path=rig_path, node_transport='keypoints') as w:
        clouds: list[Any] = []
        told: list[Any] = []
        with detecting(w, ALL):
            w.listen(PointCloud2, 'cam1/keypoints', clouds.append)
            w.listen(PointCloud2, '/pose_node/expected/cam1', told.append, profile(5, reliable=False))
            bodies = w.new_bodies(5, views=4)
            np.testing.assert_allclose(bodies[-1].xyz[0], PERSON, atol=0.005)
            body_id = int(bodies[-1].body_ids[0])
            until(
                lambda: clouds and keypoints_from_cloud(clouds[-1], 'cam1').hints.tolist() == [body_id],
                'detections carry the id of the body they were made for',
            )
            seen = keypoints_from_cloud(clouds[-1], 'cam1')
            assert clouds[-1].header.frame_id == RIG['cam1'].frame_id
            np.testing.assert_allclose(seen.xy[0], w.cameras.xy['cam1'], atol=1e-4)
            expected = predicted_from_cloud(told[-1], 'cam1')
            assert expected.body_ids.tolist() == [body_id]
            np.testing.assert_allclose(expected.xy[0], w.cameras.xy['cam1'], atol=1.0)
            # What a camera and person costs: within 15 kB/s at 30 Hz.
            assert len(clouds[-1].data) == 17 * 16
        # Its cameras fall silent, and come back with it.
        w.reported('camera cam1', 'silent for')
        with detecting(w, ALL):
            w.new_bodies(3, views=4)


def test_a_detector_node_beside_images_that_ends_costs_its_cameras_only(rig_path: str) -> None:
    with world('compressed', rig_path=rig_path, keypoints_cameras=['cam0', 'cam3']) as w:
        with detecting(w, ['cam0', 'cam3']):
            np.testing.assert_allclose(w.new_bodies(5, views=4)[-1].xyz[0], PERSON, atol=0.005)
        w.new_bodies(3, views=2)
        w.reported('camera cam3', 'silent for')


def test_two_detector_nodes_for_one_camera_are_reported(rig_path: str) -> None:
    with (
        world('compressed', rig_path=rig_path, node_transport='keypoints') as w,
        detecting(w, ['cam0']), detecting(w, ['cam0'], 'other'),
    ):
        until(
            lambda: any('more publish' in status.message for status in w.statuses.values()), 'the second is reported'
        )


def test_expectations_that_cannot_be_used_are_counted_and_cost_nothing(rig_path: str) -> None:
    with (
        world('compressed', rig_path=rig_path, node_transport='keypoints') as w,
        # pose_node's own go elsewhere.
        detecting(w, ALL, predictions_topic='/odd/{camera}'),
    ):
        send = w.tester.create_publisher(PointCloud2, '/odd/cam0', profile(5))
        xy = np.full((1, 17, 2), 50.0)
        old = PredictedPeople('cam0', w.cameras.sent_ns[-1] - 10**10, BODY17, xy, np.ones((1, 17)), np.array([8]))
        narrow = predicted_to_cloud(MAKE, old, 'cam0')
        narrow.width, narrow.row_step, narrow.data = 16, 16 * 16, narrow.data[: 16 * 16]
        wanted = {'predictions of another time', 'predictions unreadable'}

        # By turns: of two at once only the newer is taken.
        turns = itertools.cycle((predicted_to_cloud(MAKE, old, 'cam0'), narrow))

        def counted() -> bool:
            send.publish(next(turns))
            return any(wanted <= {pair.key for pair in status.values} for status in w.statuses.values())

        until(counted, 'both are counted')
        bodies = w.new_bodies(3, views=4)
        np.testing.assert_allclose(bodies[-1].xyz[0], PERSON, atol=0.005)


def test_what_is_wrong_is_one_line_when_it_begins_and_one_when_it_is_over(rig_path: str) -> None:
    with world('compressed', rig_path=rig_path, node_transport='keypoints') as w:
        console = Console(w, 'detector_node')
        with detecting(w, ALL):
            w.new_bodies(2, views=4)
            right = w.cameras.compressed
            faults: dict[str, tuple[Any, str]] = {
                'cam0': (lambda stamp_ns: None, 'silent for'),
                'cam1': (lambda stamp_ns: right('cam1', 0), 'stamp'),
                'cam2': (lambda stamp_ns: right('cam2', stamp_ns - 3600 * 10**9), '3600 s behind the clock of this'),
                'cam3': (lambda stamp_ns: right('cam3', stamp_ns, b'no picture'), 'expected a JPEG'),
            }
            for name, (wrong, _) in faults.items():
                w.cameras.behaviour[name] = wrong
            for name, (_, words) in faults.items():
                console.says(name, words)
            for name in faults:
                w.cameras.behaviour[name] = partial(right, name)
            for name, (_, words) in faults.items():
                console.says('over after', name, words)
            w.new_bodies(2, views=4)
            # Once each, however often it happened.
            for name, (_, words) in faults.items():
                assert len([line for line in console.lines if name in line and words in line]) == 2


def test_crowds_and_silly_coordinates_from_elsewhere_cost_their_camera_only(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path) as w:
        w.new_bodies(2, views=4)
        crowd = np.tile(w.cameras.xy['cam3'], (400, 1, 1))
        huge = np.full((1, 17, 2), 1e30)

        def send(stamp_ns: int, name: str, xy: Any) -> Any:
            found = Keypoints2D(name, stamp_ns, BODY17, xy, np.ones(xy.shape[:2]))
            return keypoints_to_cloud(MAKE, found, RIG[name].frame_id)

        w.cameras.behaviour['cam3'] = partial(send, name='cam3', xy=crowd)
        w.cameras.behaviour['cam2'] = partial(send, name='cam2', xy=huge)
        w.new_bodies(3, views=2)
        w.reported('camera cam3', 'received 400 people, expected at most max_people = 20')


def test_settings_that_cannot_work_are_refused(rig_path: str) -> None:
    with world('compressed', rig_path=rig_path) as w:
        with pytest.raises(GeoPoseError, match='expected unique names'), detecting(w, ['a', 'a']):
            pass
        with pytest.raises(ConfigError, match=r"keypoints_cameras: received \['cam9'\]"), world(
            'compressed', rig_path=rig_path, keypoints_cameras=['cam9']
        ):
            pass
