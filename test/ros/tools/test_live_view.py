# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose view --live`: what reaches the page of a running node, and what does not."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2

from geo_pose_ros.messages.clouds.bodies import bodies_to_cloud
from geo_pose_ros.ros.tools.live_view import LiveTopics, show_live
from geo_pose_ros.view.settings import ViewConfig
from geo_pose_ros.view.stage import Stage
from test.evaluation.moving import bodies_at
from test.ros.harness import MAKE, PERSON, RIG, until, world

pytest.importorskip('viser')


def latest(topics, condition, what):
    """Poll until the instant fulfils ``condition``."""
    def fitting():
        instant = topics.poll()
        return instant if condition(instant) else None

    return until(fitting, what)


def test_bodies_images_and_states_arrive(rig_path, node):
    with world('compressed', rig_path=rig_path) as running:
        topics = LiveTopics(node, 'pose_node', RIG)
        instant = latest(topics, lambda i: i.bodies is not None and len(i.bodies) and len(i.frames) == 4, 'all of it')
        np.testing.assert_allclose(instant.bodies.xyz[0], PERSON, atol=1e-2)
        assert set(topics.cameras) == set(RIG.names)
        instant = latest(topics, lambda i: i.camera('cam0') is not None and i.camera('cam0').level == 0, 'states')
        latest(topics, lambda i: len(i.keypoints) == 4, 'keypoints')
        running.cameras.silence('cam0')
        latest(topics, lambda i: i.camera('cam0').level == 2 and 'silent' in i.camera('cam0').message, 'silence')
        topics.close()


def test_it_draws_what_runs_and_says_when_nothing_does(rig_path, node):
    stop, drawn = threading.Event(), []
    with world('keypoints', rig_path=rig_path), Stage() as stage:
        original = stage.show
        stage.show = lambda instant, *rest, **more: (drawn.append(instant), original(instant, *rest, **more))
        topics = LiveTopics(node, '/pose_node', RIG)
        thread = threading.Thread(target=show_live, args=(stage, topics, ViewConfig(), stop))
        thread.start()
        try:
            until(lambda: [i for i in drawn if i.bodies is not None and len(i.bodies)], 'a drawn body')
            assert set(stage._frusta) == set(RIG.names)
        finally:
            stop.set()
            thread.join()
            topics.close()
    silent = LiveTopics(node, '/nobody', RIG)
    assert 'Nothing comes on /nobody/bodies' in silent.poll().pipeline
    silent.close()


def test_a_node_that_ended_is_replayed(node):
    topics = LiveTopics(node, 'somebody', RIG)
    for number in range(3):
        bodies = replace(bodies_at(0, (PERSON,)), stamp_ns=10**9 * (1 + number))
        topics._on_bodies(bodies_to_cloud(MAKE, bodies))
    last_s = topics._received_s
    assert [topics.ended(last_s + wait_s) for wait_s in (0.0, 1.9, 3.9, 4.1)] == [False, False, False, True]
    instants = [topics._replayed(last_s + wait_s) for wait_s in (0.0, 1.2, 2.2, 2.6)]
    assert [instant.stamp_ns // 10**9 for instant in instants] == [1, 2, 3, 1]
    assert '**/somebody ended** 3 s ago' in instants[3].pipeline and not instants[3].frames
    # What it still says of itself counts as life.
    topics._diagnosed_s = last_s + 3.0
    assert not topics.ended(last_s + 6.0)
    topics.close()


def test_garbage_is_named_and_forgotten_when_it_ends(node):
    publisher = node.create_publisher(PointCloud2, '/somebody/bodies', 10)
    topics = LiveTopics(node, 'somebody', RIG)
    sound = bodies_to_cloud(MAKE, bodies_at(0, (PERSON,)))

    def said(message):
        publisher.publish(message)
        topics.poll()
        return topics.faults.get('/somebody/bodies', '')

    until(lambda: 'the cloud lacks' in said(PointCloud2()), 'a fault')
    until(lambda: not said(sound), 'the fault to go')
    assert topics.poll().bodies is not None
    topics.close()


def test_without_a_rig_or_tf_it_says_so(node, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', None)
    topics = LiveTopics(node, 'pose_node', None)
    assert topics.rig is None and 'tf2_msgs' in topics.faults['/tf_static']
    topics.close()
