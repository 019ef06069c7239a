# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Core types refuse what would fail later, far from its cause."""

import numpy as np
import pytest

from geo_pose_ros.errors import CalibrationError, ShapeError
from geo_pose_ros.skeleton import BODY17, BODY33, COCO17
from geo_pose_ros.types import (
    Bodies3D,
    Camera,
    CameraRig,
    ClockModel,
    Frame,
    FrameSet,
    Intrinsics,
    Keypoints2D,
    PredictedPeople,
)

K = np.array([[900.0, 0.0, 640.0], [0.0, 900.0, 480.0], [0.0, 0.0, 1.0]])
POSE = np.eye(4)[:3]


def make(**changes):
    usual = {'K': K, 'D': np.zeros(5), 'distortion_model': 'plumb_bob', 'width': 1280, 'height': 960}
    return Intrinsics(**usual | changes)


LEFT = Camera('left', 'l', make(), POSE)


IMAGE = np.zeros((4, 6, 3), np.uint8)
XY, SURE = np.zeros((1, 17, 2)), np.ones((1, 17))


@pytest.mark.parametrize(('made', 'error', 'message'), [
    (lambda: make(K=np.zeros((3, 3))), CalibrationError, r'K = 0; the camera is uncalibrated'),
    (lambda: make(K=np.full((3, 3), np.nan)), CalibrationError, 'not finite'),
    (lambda: make(K=np.diag([-1.0, 900.0, 1.0])), CalibrationError, 'not a camera matrix'),
    (lambda: make(K=K + [[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), CalibrationError, 'skew'),
    (lambda: make(K=np.eye(4)), ShapeError, r'received shape \(4, 4\), expected \(3, 3\)'),
    (lambda: make(distortion_model='thin_prism'), CalibrationError, "model 'thin_prism'; expected one of"),
    (lambda: make(D=np.zeros(3)), CalibrationError, 'got 3 coefficients, expected 0 or 4 or 5'),
    (lambda: make(width=0), CalibrationError, 'Image size 0x960'),
    (lambda: Camera('', 'optical', make(), POSE), CalibrationError, 'no name'),
    (lambda: Camera('left', 'optical', make(), POSE * np.nan), CalibrationError, 'not finite'),
    (lambda: Camera('left', 'optical', make(), POSE * 1.1), CalibrationError, 'not a rotation'),
    (lambda: Camera('left', 'optical', make(), np.diag([1.0, 1.0, -1.0, 1.0])[:3]), CalibrationError, r'det = -1\.000'),
    (lambda: CameraRig((LEFT, LEFT)), CalibrationError, r"\['left'\] more than once"),
    (lambda: CameraRig(()), CalibrationError, 'no camera; name at least one'),
    (lambda: CameraRig((LEFT,))['right'], CalibrationError, "no camera 'right'; it has: left"),
    (lambda: Frame('left', 0, IMAGE.astype(float)), ShapeError, 'float64, expected uint8'),
    (lambda: Frame('left', 0, IMAGE[..., 0]), ShapeError, r'\(4, 6\), expected \(H, W, 3\)'),
    (lambda: Frame('left', 0, IMAGE, 0), ShapeError, 'reduction 0'),
    (lambda: FrameSet({}), ShapeError, 'no frame'),
    (lambda: Keypoints2D('left', 0, BODY17, XY, 1.5 * SURE), ShapeError, r'outside \[0, 1\]'),
    (lambda: Keypoints2D('left', 0, BODY17, XY, np.nan * SURE), ShapeError, r'outside \[0, 1\]'),
    (lambda: Keypoints2D('left', 0, BODY17, XY[:, :5], SURE[:, :5]), ShapeError, r'expected \(any, 17, 2\)'),
    (lambda: Keypoints2D('a', 0, BODY17, XY, SURE, np.array([1, 2, 3])), ShapeError,
     r"camera 'a': hints: received shape \(3,\), expected \(1\)"),
    (lambda: PredictedPeople('a', 5, BODY17, XY, np.ones((2, 17)), np.array([7])), ShapeError, 'sigma_px'),
    (lambda: bodies([7], np.ones((1, 16))), ShapeError, r'Bodies3D.num_views: received shape \(1, 16\)'),
    (lambda: ClockModel(float('inf')), CalibrationError, 'received clock_offset_s = inf'),
])
def test_what_would_fail_later_is_refused(made, error, message):
    with pytest.raises(error, match=message):
        made()


def test_arrays_are_copied_and_read_only():
    mine = K.copy()
    held = make(K=mine)
    mine[0, 0] = 1.0
    assert held.K[0, 0] == 900.0
    with pytest.raises(ValueError, match='read-only'):
        held.K[0, 0] = 2.0


def test_reduced_pixels_are_those_of_the_whole_image():
    # The centre of the first reduced pixel is the corner shared by the first 2x2 raw pixels.
    np.testing.assert_allclose(Frame('left', 0, IMAGE, 2).to_raw(np.array([[0.0, 1.0]])), [[0.5, 2.5]])


def test_frame_set_takes_the_median_stamp_of_partial_sets():
    frames = {name: Frame(name, stamp, IMAGE) for name, stamp in (('a', 30), ('b', 10), ('c', 14))}
    made = FrameSet(frames)
    assert (made.stamp_ns, made.span_ns) == (14, 20)


def bodies(ids, num_views=2.0):
    people = len(ids)
    joints, ones = np.arange(people * 51.0).reshape(people, 17, 3), np.ones((people, 17))
    covariance, views = np.ones((people, 17, 3, 3)), num_views * ones if np.isscalar(num_views) else num_views
    return Bodies3D(5, 'world', BODY17, joints, covariance, ones, views, ones, np.array(ids))


def test_bodies_select():
    kept = bodies([7, 8, 9]).select(np.array([True, False, True]))
    assert len(kept) == 2
    assert kept.body_ids.tolist() == [7, 9]
    np.testing.assert_array_equal(kept.xyz[1], bodies([7, 8, 9]).xyz[2])
    assert len(kept.select(np.zeros(2, bool))) == 0


def test_clock_model_converts_both_ways():
    clock = ClockModel(0.25, 1e-4)
    assert clock.offset_ns == 250_000_000
    assert clock.stamp_s(100.0) == pytest.approx(100.26) and clock.common_s(100.26) == pytest.approx(100.0)
    assert clock.common_s(np.array([0.25, 100.26])) == pytest.approx([0.0, 100.0])
    assert clock.common_ns(100_260_000_000) == 100_000_000_000
    assert ClockModel(0.25).common_ns(1_700_000_000_250_000_001) == 1_700_000_000_000_000_001


def test_keypoints_of_other_skeletons_become_those_of_bodies():
    found = Keypoints2D('cam0', 5, COCO17, np.full((2, 17, 2), 3.0), np.ones((2, 17)), np.array([4, -1]))
    mapped = found.as_output(BODY17)
    assert mapped.skeleton is BODY17 and mapped.hints.tolist() == [4, -1]
    np.testing.assert_allclose(mapped.xy, 3.0)
    assert mapped.as_output(BODY17) is mapped
    assert found.as_output(BODY33).xy.shape == (2, 37, 2)
