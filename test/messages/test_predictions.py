"""Expected people and hinted keypoints as clouds."""

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.errors import ShapeError
from geo_pose_ros.messages.clouds.keypoints import keypoints_from_cloud, keypoints_to_cloud
from geo_pose_ros.messages.clouds.predictions import predicted_from_cloud, predicted_to_cloud
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D, PredictedPeople

MAKE = RosbagsFactory()


def people(count=2):
    xy = np.arange(count * 34, dtype=float).reshape(count, 17, 2)
    sigma = np.full((count, 17), 1.5)
    xy[0, 3], sigma[0, 3] = np.nan, np.nan
    return PredictedPeople('cam0', 12_345, BODY17, xy, sigma, np.arange(count) + 70_000)


def test_expected_people_come_back():
    given = people()
    cloud = predicted_to_cloud(MAKE, given, 'optical')
    assert (cloud.height, cloud.width, cloud.header.frame_id, cloud.is_dense) == (2, 17, 'optical', False)
    found = predicted_from_cloud(cloud, 'cam0')
    assert (found.camera, found.stamp_ns) == ('cam0', 12_345)
    for name in ('xy', 'sigma_px', 'body_ids'):
        np.testing.assert_array_equal(getattr(found, name), getattr(given, name))
    nobody = predicted_from_cloud(predicted_to_cloud(MAKE, PredictedPeople.nobody('cam0', 0, BODY17), ''), 'cam0')
    assert len(nobody) == 0


@pytest.mark.parametrize('sigma', [np.nan, np.inf, 0.0, -3.0])
def test_a_joint_without_a_usable_sigma_is_unknown(sigma):
    given = people(1)
    bad = given.sigma_px.copy()
    bad[0, 5] = sigma
    cloud = predicted_to_cloud(MAKE, PredictedPeople('cam0', 0, BODY17, given.xy, bad, given.body_ids), '')
    found = predicted_from_cloud(cloud, 'cam0')
    assert np.isnan(found.xy[0, 5]).all() and np.isnan(found.sigma_px[0, 5])
    assert np.isfinite(found.xy[0, 6]).all()


def test_other_clouds_are_refused():
    narrow = predicted_to_cloud(MAKE, people(), '')
    narrow.width, narrow.row_step, narrow.data = 16, 16 * 16, narrow.data[: 2 * 16 * 16]
    with pytest.raises(ShapeError, match=r"camera 'cam0': received width 16, expected 17 joints of skeleton 'body17'"):
        predicted_from_cloud(narrow, 'cam0')
    plain = keypoints_to_cloud(MAKE, Keypoints2D.empty('cam0', 0, BODY17), '')
    with pytest.raises(ShapeError, match=r"lacks \['sigma', 'body_id'\]"):
        predicted_from_cloud(plain, 'cam0')


def test_hints_travel_only_where_they_are_asked_for():
    given = Keypoints2D('cam0', 5, BODY17, np.ones((3, 17, 2)), np.ones((3, 17)), np.array([4, -1, 2_000_000_000]))
    cloud = keypoints_to_cloud(MAKE, given, '', hints=True)
    assert keypoints_from_cloud(cloud, 'cam0').hints.tolist() == [4, -1, 2_000_000_000]
    # 30 Hz: within 15 kB/s per camera and person, header and fields included.
    assert len(cloud.data) / 3 == 17 * 16
    assert keypoints_from_cloud(keypoints_to_cloud(MAKE, given, ''), 'cam0').hints.tolist() == [-1] * 3
