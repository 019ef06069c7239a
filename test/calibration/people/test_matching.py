"""Who is who across cameras."""

import numpy as np

from geo_pose_ros.calibration.calibrate import tracklets_of
from geo_pose_ros.calibration.people.matching import match_people
from geo_pose_ros.calibration.people.views import shared_instants, triangulate_views, view_person
from geo_pose_ros.calibration.settings import CalibrateConfig

from ...scenes import ring_rig
from ..walking import images, perturbed, walk


def test_people_are_matched_by_geometry_not_by_order():
    truth = ring_rig(4)
    people = [walk(10.0, seed=1) + (0.0, 1.0, 0.0), walk(10.0, seed=2) - (0.0, 1.0, 0.0)]
    tracklets = tracklets_of(images(truth, people), truth, CalibrateConfig())
    time_s = np.arange(0, 200, 5) / 20.0
    found = match_people(tracklets, perturbed(truth, 2.0, 0.05), 0.6, time_s)
    whose = []
    for person in found:
        views = view_person(person, truth, time_s)
        np.testing.assert_array_equal(shared_instants(views), np.full((4, 4), len(views)))
        # All four cameras' rays meet in one of the two.
        joints = triangulate_views(truth, views)
        errors = [np.abs(joints - motion[::5]).max() for motion in people]
        assert min(errors) < 1e-3
        whose.append(int(np.argmin(errors)))
    assert sorted(whose) == [0, 1]
