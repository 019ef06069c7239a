# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The summary of a recording, against a scene whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.demo.run import summarise
from geo_pose_ros.demo.summary import (
    drops,
    in_sets,
    latency_ms,
    read_diagnostics,
    read_observations,
    sides_repaired,
    stage_ms,
)
from geo_pose_ros.errors import BagError
from geo_pose_ros.messages.diagnostics import Level, Status, diagnostics_to_message
from geo_pose_ros.pipeline import PosePipeline

from ..scenes import keypoints, person, ring_rig

RIG, MAKE = ring_rig(4), RosbagsFactory()
STAMPS_NS = [1_000_000_000 + i * 100_000_000 for i in range(4)]
STATUSES = [
    Status('pipeline', Level.OK, 'ok', {'rate_hz': '30', 'stage_ms fuse': '4.2', 'sets superseded': '7'}),
    Status('camera a', Level.WARN, '', {'unusable: JPEG is truncated': '2', 'dropped: late': '1', 'age_s': '0',
                                       'sides repaired': '3', 'frames_used': '25'}),
]


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """What a node publishes of a noisy person, 30 ms late."""
    path = tmp_path_factory.mktemp('demo') / 'bag'
    with BagWriter(path) as writer, PosePipeline(RIG) as pipeline:
        for number, stamp_ns in enumerate(STAMPS_NS):
            seen = keypoints(RIG, [person()], stamp_ns, 3.0, seed=number)
            for name, k in seen.items():
                writer.write_keypoints(k, name, stamp_ns + 30_000_000)
            writer.write_bodies(pipeline.fuse(stamp_ns, seen).bodies, stamp_ns + 30_000_000)
        writer.write('/diagnostics', diagnostics_to_message(MAKE, 'pose_node', STATUSES, stamp_ns), stamp_ns)
    return path


def test_diagnostics_become_numbers(recording):
    found = read_diagnostics(recording)
    assert drops(found) == {'sets': {'superseded': 7}, 'camera a': {'JPEG is truncated': 2, 'late': 1}}
    assert sides_repaired(found) == {'a': (3, 25)}
    assert stage_ms(found) == {'fuse': 4.2} and latency_ms(recording) == {'p50': 30.0, 'p95': 30.0}


def test_recording_is_matched_by_stamp_and_summarised(recording):
    seen = read_observations(recording)
    assert [s.stamp_ns for s in seen] == STAMPS_NS and set(seen[0].keypoints) == set(RIG.names)
    np.testing.assert_allclose(seen[0].bodies.xyz[0], person(), atol=0.03)
    published = {'/cam0/image_raw/compressed': 4, '/cam1/image_raw/compressed': 3}
    played = {'published': published, 'loops': 2, 'loop_ns': 200_000_000}
    summary = summarise(recording, RIG, seen, played)
    assert (summary['delivered_hz'], summary['sides_repaired']['a']) == (10.0, (3, 25))
    assert (summary['sets_in'], summary['sets_published'], summary['rate_hz']) == (4, 4, 10.0)
    assert 1.0 < summary['reprojection_px']['median'] < summary['leave_one_out_px'] < 8.0
    assert set(summary['reprojection_px']['per_camera']) == set(RIG.names)
    assert 0.0 < summary['bone_length_cv']['median'] < 0.05
    assert len(summary['bone_length_cv']['per_bone']) == 16
    alone = summary['triangulation_alone']
    assert alone['ours_leave_one_out_px']['median'] == pytest.approx(summary['leave_one_out_px'], rel=0.05)
    assert 1.0 < alone['leave_one_out_px']['median'] < alone['leave_one_out_px']['mean'] < 8.0
    assert summary['bone_length_cv']['median'] < alone['bone_length_cv'] < 0.1
    assert set(json.loads(json.dumps(summary))) >= {'drops', 'latency_ms', 'stage_ms'}


def keypoints_at(camera, *stamps_ns):
    seen = keypoints(ring_rig(2), [person()], 0)['cam0']
    return [replace(seen, camera=camera, stamp_ns=stamp) for stamp in stamps_ns]


def test_keypoints_with_stamps_of_their_own_go_to_the_nearest_bodies():
    stamps = np.array([0, 100, 200, 300]) * 1_000_000
    seen = [
        *keypoints_at('a', 12_000_000, 112_000_000, 191_000_000, 312_000_000),
        # Two for one set: the nearer; none for another; too far from all.
        *keypoints_at('b', 20_000_000, 5_000_000, -9_000_000, 149_000_000, 390_000_000),
    ]
    found = [{name: k.stamp_ns // 1_000_000 for name, k in one.items()} for one in in_sets(stamps, seen)]
    assert found == [{'a': 12, 'b': 5}, {'a': 112, 'b': 149}, {'a': 191}, {'a': 312}]
    # A lone set takes what lies within 60 ms.
    assert [len(one) for one in in_sets(stamps[:1], keypoints_at('a', 60_000_000))] == [1]
    assert [len(one) for one in in_sets(stamps[:1], keypoints_at('a', 60_000_001))] == [0]


@pytest.mark.parametrize('bodies', [0, 1])
def test_a_recording_without_keypoints_is_an_error(tmp_path, bodies):
    with BagWriter(tmp_path / 'bag') as writer, PosePipeline(RIG) as pipeline:
        for _ in range(bodies):
            writer.write_bodies(pipeline.fuse(5, {}).bodies)
    with pytest.raises(BagError, match=f'holds {bodies} bodies and 0 keypoints messages'):
        read_observations(tmp_path / 'bag')
