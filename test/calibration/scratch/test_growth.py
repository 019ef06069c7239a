# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A camera that was joined in the wrong place, when few were known, is found and joined again."""

from dataclasses import replace

from geo_pose_ros.calibration.calibrate import calibrate, tracklets_of
from geo_pose_ros.calibration.people.matching import sight_people
from geo_pose_ros.calibration.scratch import growth
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.calibration.task import CalibrateTask
from geo_pose_ros.types import CameraRig

from ...scenes import ring_rig
from ..walking import images, pose_errors, walk

FEW = CalibrateConfig(instants=40)
TRUTH = ring_rig(5)


def test_a_misplaced_camera_is_found():
    seen = tracklets_of(images(TRUTH, [walk(10.0)], noise_px=1.0), TRUTH, FEW)
    views = sight_people(seen, TRUTH, FEW).views(TRUTH)
    assert growth._misplaced(TRUTH, views) == ''
    elsewhere = replace(TRUTH['cam3'], cam_from_world=TRUTH['cam3'].cam_from_world + (0, 0, 0, 0.3))
    wrong = CameraRig(tuple(elsewhere if c.name == 'cam3' else c for c in TRUTH.cameras))
    assert growth._misplaced(wrong, views) == 'cam3'
    two = wrong.subset(('cam0', 'cam3'))
    assert growth._misplaced(two, sight_people({n: seen[n] for n in two.names}, two, FEW).views(two)) == ''


def test_a_misplaced_camera_is_joined_again(monkeypatch):
    find, joined = growth._next_camera, []

    def wrong_at_first(tracks, *rest):
        name, pose = find(tracks, *rest)
        joined.append(name)
        # A metre and a half aside: an adjustment that only has to come near leaves it there or nearly.
        return name, pose + (0, 0, 0, 1.5 if joined.count(name) == 1 and len(tracks) == 1 else 0)

    monkeypatch.setattr(growth, '_next_camera', wrong_at_first)
    monkeypatch.setattr(growth, '_misplaced', lambda rig, views: joined[-1] if len(joined) == 2 else '')
    truth = TRUTH.subset(TRUTH.names[:4])
    rig = calibrate(images(truth, [walk(8.0)], noise_px=1.0), truth, CalibrateTask(FEW, from_scratch=True)).rig
    assert joined[1] == joined[2] and len(joined) == 3
    assert pose_errors(rig, truth)[0].max() < 0.3
