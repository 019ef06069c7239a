# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Detecting a set in one call for all as on a GPU, faults that cost one camera, and what may come from a detector."""

import gc
import weakref
from contextlib import closing
from functools import partial

import numpy as np
import pytest

from geo_pose_ros.detection.checks import checked
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.detection.stage import DetectionStage
from geo_pose_ros.errors import DetectorError, FrameError
from geo_pose_ros.skeleton import BODY17, COCO17
from geo_pose_ros.types import Frame, Keypoints2D

IMAGE = np.zeros((48, 64, 3), np.uint8)
NAMES = ('cam0', 'cam1', 'cam2')


def people(name, count=1, xy=(5.0, 6.0)):
    return Keypoints2D(name, 0, BODY17, np.full((count, 17, 2), xy), np.ones((count, 17)))


class Together:
    """A detector that wants all pictures in one call, and cannot read those of some cameras."""

    skeleton = BODY17
    is_batched = True

    def __init__(self, bad=(), error=ValueError):
        self.bad, self.error, self.calls = bad, error, []

    def detect(self, frames, expected):
        self.calls.append((sorted(frames), sorted(expected)))
        if set(self.bad) & set(frames):
            raise self.error('broken')
        return {name: people(name) for name in frames}

    def close(self):
        self.calls.append('closed')


def run(detector, loaders, config=None):
    with closing(DetectionStage(config or DetectorConfig(workers=2), 3, detector)) as stage:
        detection = stage.begin(loaders, lambda stamps: dict.fromkeys(stamps))
        detection.wait_for_a_worker()
        return detection.views()


def loaders_of(names=NAMES):
    return {name: lambda name=name: Frame(name, 0, IMAGE) for name in names}


def test_all_pictures_of_a_set_make_one_call():
    detector = Together()
    views = run(detector, loaders_of())
    assert detector.calls == [(list(NAMES), list(NAMES)), 'closed']
    assert set(views.keypoints) == set(views.frames) == set(NAMES)
    assert not views.camera_errors
    assert views.stage_ms['views'] > 0.0


def test_another_threshold_reaches_the_detectors_that_take_it():
    class Adjustable(Together):
        def use_min_confidence(self, min_confidence):
            self.calls.append(min_confidence)

    for detector, told in ((Adjustable(), [0.7]), (Together(), [])):
        stage = DetectionStage(DetectorConfig(), 3, detector)
        stage.use_min_confidence(0.7)
        assert detector.calls == told
        stage.close()


@pytest.mark.parametrize('error', [ValueError, DetectorError])
def test_in_one_call_too_a_fault_costs_one_camera(error):
    def truncated():
        raise FrameError('truncated')

    detector = Together(['cam1'], error)
    views = run(detector, loaders_of() | {'cam2': truncated})
    assert set(views.keypoints) == {'cam0'}
    assert views.camera_errors['cam2'] == 'truncated'
    assert 'broken' in views.camera_errors['cam1']
    assert detector.calls[0][0] == ['cam0', 'cam1']
    nothing = Together()
    assert set(run(nothing, dict.fromkeys(NAMES, truncated)).camera_errors) == set(NAMES)
    assert nothing.calls == ['closed']


def test_a_detector_that_leaves_out_a_camera_or_sends_a_crowd_is_named():
    class Odd(Together):
        is_batched = False

        def detect(self, frames, expected):
            return {} if 'cam0' in frames else {name: people(name, 30 if name == 'cam1' else 1) for name in frames}

    views = run(Odd(), loaders_of())
    assert set(views.keypoints) == {'cam2'}
    assert "The detector failed on camera 'cam0': KeyError" in views.camera_errors['cam0']
    assert "Camera 'cam1': received 30 people, expected at most max_people = 20" in views.camera_errors['cam1']


def test_joints_nowhere_near_the_picture_are_not_seen():
    xy = np.full((3, 17, 2), 10.0)
    xy[0, 0], xy[0, 1], xy[0, 2] = (-1e9, 5.0), (np.nan, np.nan), (-30.0, 40.0)
    xy[1] = 1e12
    confidence = np.full((3, 17), 0.8)
    confidence[0, 1], confidence[0, 3] = 0.0, 0.0
    given = Keypoints2D('cam0', 0, BODY17, xy, confidence, np.array([4, 5, 6]))
    found = checked(given, 20, 64, 48)
    assert found.hints.tolist() == [4, 6]
    assert np.isnan(found.xy[0, [0, 1, 3]]).all()
    np.testing.assert_array_equal(found.xy[0, 2], (-30.0, 40.0))
    assert found.confidence[0, :4].tolist() == [0.0, 0.0, 0.8, 0.0]
    fine = people('cam0')
    assert checked(fine, 20, 64, 48) is fine
    assert len(checked(Keypoints2D.empty('cam0', 0, COCO17), 20, 64, 48).xy) == 0


class OneByOne(Together):
    """The same, one picture a call."""

    is_batched = False


@pytest.mark.parametrize('kind', [Together, OneByOne])
def test_while_a_camera_fails_nothing_is_kept_of_the_sets_before(kind):
    def broken():
        raise FrameError('no picture')

    pictures = []

    def load(name):
        frame = Frame(name, 1, np.zeros((8, 8, 3), np.uint8))
        pictures.append(weakref.ref(frame.image))
        return frame

    with closing(DetectionStage(DetectorConfig(), 2, kind(), {})) as stage:
        for _ in range(20):
            views = stage.begin({'a': partial(load, 'a'), 'b': broken}, lambda stamps_ns: {}).views()
            assert (set(views.keypoints), set(views.camera_errors)) == ({'a'}, {'b'})
        del views
        gc.collect()
        # At most the last job of the camera that works.
        assert sum(picture() is not None for picture in pictures) <= 1
