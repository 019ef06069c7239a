# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cameras that are added and removed while the node runs, over live rclpy."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String

from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.types import Bodies3D, CameraRig
from test.ros.harness import PERSON, Console, World, until, world
from test.ros.nodes.test_lifecycle import call
from test.ros.nodes.test_moving import Robot, robot

__all__ = ['robot']

S = 1_000_000_000


def set_cameras(w: World, *cameras: str) -> str:
    """Set the parameter as `ros2 param set` does; return why it is refused, '' if it is not."""
    parameter = Parameter('cameras', value=list(cameras)).to_parameter_msg()
    (result,) = call(w, SetParameters, 'set_parameters', SetParameters.Request(parameters=[parameter])).results
    return '' if result.successful else str(result.reason)


def settled(w: World, views: int) -> list[Bodies3D]:
    """Wait for bodies that ``views`` cameras see, of the person who is there."""
    found = w.new_bodies(5, views=views)
    for bodies in found:
        np.testing.assert_allclose(bodies.xyz[0], PERSON, atol=0.005)
    return found


def test_a_camera_comes_and_another_goes_and_people_stay(rig_path: str) -> None:
    with world('compressed', rig_path=rig_path, cameras=['cam0', 'cam1', 'cam2']) as w:
        console = Console(w)
        described: list[Any] = []
        latched = profile(1, latched=True)
        w.listen(String, '/pose_node/skeleton', lambda m: described.append(json.loads(m.data)), latched)
        seen = settled(w, 3)
        threads = sorted(thread.name for thread in threading.enumerate())
        assert set_cameras(w, 'cam0', 'cam1', 'cam2', 'cam3') == ''
        seen += settled(w, 4)
        console.says('4 cameras from now on (cam0, cam1, cam2, cam3); subscribed: cam3; gone: none')
        used = int(w.values('camera cam1')['frames_used'])
        assert set_cameras(w, 'cam1', 'cam2', 'cam3') == ''
        seen += settled(w, 3)
        console.says('3 cameras from now on (cam1, cam2, cam3); subscribed: none; gone: cam0')
        assert {int(bodies.body_ids[0]) for bodies in seen} == {0}
        stamps = [bodies.stamp_ns for bodies in seen]
        assert stamps == sorted(set(stamps))
        # Of those that stay the counters go on; nothing is left of the one that went.
        until(lambda: 'camera cam0' not in w.statuses, 'no status of it')
        assert int(w.values('camera cam1')['frames_used']) > used
        until(lambda: not w.node.get_subscriptions_info_by_topic('cam0/image_raw/compressed'), 'unsubscribed')
        for topic in ('keypoints/cam0', 'expected/cam0', 'annotated/cam0/compressed'):
            until(lambda topic=topic: not w.node.get_publishers_info_by_topic(f'/pose_node/{topic}'), f'no {topic}')
        assert sorted(thread.name for thread in threading.enumerate()) == threads
        assert list(described[-1]['cameras']) == ['cam1', 'cam2', 'cam3']
        # What is published of the new one reaches those who listen.
        heard: list[Any] = []
        w.listen(PointCloud2, '/pose_node/keypoints/cam3', heard.append)
        until(lambda: heard, 'keypoints of cam3')
        # Nobody blames a camera for the time before it was one.
        assert not [line for line in console.lines if 'no frame' in line]


def test_a_camera_that_is_added_is_calibrated_by_camera_info(tell_transforms: Callable[[], None]) -> None:
    with world('compressed', cameras=['cam0', 'cam1', 'cam2']) as w:
        tell_transforms()
        before = settled(w, 3)
        assert set_cameras(w, 'cam0', 'cam1', 'cam3') == ''
        after = settled(w, 3)
        assert {int(b.body_ids[0]) for b in before + after} == {0}
        until(lambda: not w.node.get_subscriptions_info_by_topic('cam2/camera_info'), 'unsubscribed')
        # Nobody tells of a camera that does not exist.
        assert set_cameras(w, 'cam0', 'cam1', 'cam3', 'cam9') == ''
        w.reported('rig', "Camera 'cam9': no camera_info came yet")
        settled(w, 3)


def test_what_cannot_be_is_refused_and_changes_nothing(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path, cameras=['cam0', 'cam1', 'cam2']) as w:
        settled(w, 3)
        assert "cam9" in set_cameras(w, 'cam0', 'cam9')
        assert set_cameras(w, 'cam0', 'cam0') == (
            "Parameter 'cameras': received ['cam0', 'cam0'], expected every name once."
        )
        assert 'Invalid topic name' in set_cameras(w, 'cam0', 'a-1')
        Path(rig_path).rename(f'{rig_path}.old')
        assert 'cannot be read' in set_cameras(w, 'cam0', 'cam1')
        Path(f'{rig_path}.old').rename(rig_path)
        assert w.node.config.cameras == ('cam0', 'cam1', 'cam2')
        settled(w, 3)
        # Gone between the answer and the change.
        console = Console(w)
        real = w.node._session._read_cameras
        w.node._session._read_cameras = lambda config: (_ for _ in ()).throw(CalibrationError('gone'))
        w.node._session.apply(replace(w.node.config, cameras=('cam0', 'cam1')))
        w.node._session._read_cameras = real
        console.says('The cameras stay as they were: gone')
        settled(w, 3)


def test_a_camera_with_topics_of_its_own_is_set_in_one_go(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path, cameras=['cam0', 'cam1', 'cam2']) as w:
        settled(w, 3)
        elsewhere = w.tester.create_publisher(PointCloud2, '/elsewhere/cam3', profile(5))
        w.cameras.silence('cam3')
        right = w.cameras.behaviour['cam0']

        def both(stamp_ns: int) -> Any:
            elsewhere.publish(w.cameras.keypoints('cam3', stamp_ns))
            return right(stamp_ns)

        w.cameras.behaviour['cam0'] = both
        request = SetParametersAtomically.Request(parameters=[
            Parameter('cameras', value=['cam0', 'cam1', 'cam2', 'cam3']).to_parameter_msg(),
            Parameter('keypoints_topics', value=['cam3=/elsewhere/cam3']).to_parameter_msg(),
        ])
        assert call(w, SetParametersAtomically, 'set_parameters_atomically', request).result.successful
        settled(w, 4)
        # Back to its template: only its topic changes.
        w.cameras.behaviour['cam3'] = lambda stamp_ns: w.cameras.keypoints('cam3', stamp_ns)
        request.parameters[1] = Parameter('keypoints_topics', value=['']).to_parameter_msg()
        assert call(w, SetParametersAtomically, 'set_parameters_atomically', request).result.successful
        until(lambda: not w.node.get_subscriptions_info_by_topic('/elsewhere/cam3'), 'unsubscribed')
        settled(w, 4)


def test_an_inactive_node_takes_other_cameras_too(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path, cameras=['cam0', 'cam1'], autostart=False) as w:
        w.node.trigger_configure()
        assert set_cameras(w, 'cam0', 'cam1', 'cam2') == ''
        until(lambda: w.node._session._cameras.names == ('cam0', 'cam1', 'cam2'), 'it has them')
        assert w.node.get_subscriptions_info_by_topic('cam2/keypoints') == []
        w.node.trigger_activate()
        before = settled(w, 3)
        # None of them stays. No name means all of the rig file; ROS has no empty list of strings.
        assert set_cameras(w, 'cam3') == ''
        until(lambda: w.node._session._cameras.names == ('cam3',), 'it has another')
        assert set_cameras(w, '') == ''
        assert {int(b.body_ids[0]) for b in before + settled(w, 4)} == {0}


@pytest.mark.parametrize('carried', [False, True])
def test_the_frames_of_the_cameras_that_there_are(
    rig_path: str, monkeypatch: pytest.MonkeyPatch, robot: Robot, carried: bool
) -> None:
    published: list[CameraRig] = []
    frames = SimpleNamespace(publish=published.append, close=lambda: None)
    monkeypatch.setattr('geo_pose_ros.ros.nodes.rig_source.CameraFrames', lambda node, make: frames)
    given = {'tracking_frame': 'odom'} if carried else {}
    with world('keypoints', rig_path=rig_path, cameras=['cam0', 'cam1'], publish_camera_frames=True, **given) as w:
        assert set_cameras(w, 'cam1', 'cam2') == ''
        until(lambda: len(published) == 2, 'published again')
    assert [rig.names for rig in published] == [('cam0', 'cam1'), ('cam1', 'cam2')]
    # Not against what the rig is carried through.
    assert {rig.world_frame_id for rig in published} == {'world'}
