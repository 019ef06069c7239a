"""The summary of a recording, against a scene whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.demo.summary import in_sets, quality_summary, read_observations
from geo_pose_ros.errors import BagError
from geo_pose_ros.messages.clouds.bodies import bodies_to_cloud
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig

from ..scenes import keypoints, person, ring_rig


def record(path, instants, noise_px=0.0):
    rig, make = ring_rig(4), RosbagsFactory()
    with BagWriter(path, 'mcap') as writer, PosePipeline(rig) as pipeline:
        for i in range(instants):
            stamp = 1_000_000_000 + i * 100_000_000
            seen = keypoints(rig, [person()], stamp, noise_px, seed=i)
            for name, k in seen.items():
                writer.write(f'/pose_node/keypoints/{name}', keypoints_to_cloud(make, k, name), stamp)
            writer.write('/pose_node/bodies', bodies_to_cloud(make, pipeline.fuse(stamp, seen).bodies), stamp)
    return rig


def test_recording_is_matched_by_stamp_and_summarised(tmp_path):
    rig = record(tmp_path / 'bag', 4, noise_px=3.0)
    seen = read_observations(tmp_path / 'bag')
    assert [s.stamp_ns for s in seen] == [1_000_000_000 + i * 100_000_000 for i in range(4)]
    assert set(seen[0].keypoints) == set(rig.names)
    np.testing.assert_allclose(seen[0].bodies.xyz[0], person(), atol=0.03)
    summary = quality_summary(rig, seen, PipelineConfig())
    assert 1.0 < summary['reprojection_px']['median'] < summary['leave_one_out_px'] < 8.0
    assert set(summary['reprojection_px']['per_camera']) == set(rig.names)
    assert 0.0 < summary['bone_length_cv']['median'] < 0.05
    assert len(summary['bone_length_cv']['per_bone']) == 16
    alone = summary['triangulation_alone']
    assert alone['ours_leave_one_out_px']['median'] == pytest.approx(summary['leave_one_out_px'], rel=0.05)
    assert 1.0 < alone['leave_one_out_px']['median'] < alone['leave_one_out_px']['mean'] < 8.0
    assert summary['bone_length_cv']['median'] < alone['bone_length_cv'] < 0.1


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
    sets = in_sets(stamps, seen)
    found = [{name: k.stamp_ns // 1_000_000 for name, k in one.items()} for one in sets]
    assert found == [{'a': 12, 'b': 5}, {'a': 112, 'b': 149}, {'a': 191}, {'a': 312}]
    # A lone set takes what lies within 60 ms.
    assert [len(one) for one in in_sets(stamps[:1], keypoints_at('a', 60_000_000))] == [1]
    assert [len(one) for one in in_sets(stamps[:1], keypoints_at('a', 60_000_001))] == [0]


def test_silent_node_is_an_error(tmp_path):
    record(tmp_path / 'bag', 0)
    with pytest.raises(BagError, match='holds 0 bodies and 0 keypoints messages'):
        read_observations(tmp_path / 'bag')


def test_bodies_without_keypoints_are_an_error(tmp_path):
    with BagWriter(tmp_path / 'bag', 'mcap') as writer, PosePipeline(ring_rig(2)) as pipeline:
        writer.write('/pose_node/bodies', bodies_to_cloud(RosbagsFactory(), pipeline.fuse(5, {}).bodies), 5)
    with pytest.raises(BagError, match='holds 1 bodies and 0 keypoints messages'):
        read_observations(tmp_path / 'bag')
