"""Reasons to refuse a rig, each with a judgement made by hand."""

import numpy as np
import pytest

from geo_pose_ros.calibration.people.views import PoseViews
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.calibration.verdict import Judgement, rig_refusal
from geo_pose_ros.skeleton import BODY17

CONFIG = CalibrateConfig()


@pytest.mark.parametrize(
    ('left_out_px', 'reason'),
    [
        ((5.0, 6.0, 25.0), ''),
        ((5.0, 6.0, 60.0), "camera 'cam2' errs by 60 px against what the others see, all cameras by 6.0 px"),
        ((20.0, 20.0, 20.0), "errs by 20.0 px, 7% of the people's extent"),
    ],
    ids=['one is worse', 'one is elsewhere', 'all are bad'],
)
def test_a_rig_is_refused_by_its_errors(left_out_px, reason):
    # People of 300 px.
    shape = (3, 10, len(BODY17))
    xy = np.zeros((*shape, 2))
    views = PoseViews(np.arange(10.0), np.zeros(10, int), xy, xy, np.full(shape, 75.0 / 300.0))
    errors = {f'cam{c}': np.full(10, px) for c, px in enumerate(left_out_px)}
    refusal = rig_refusal(None, Judgement(errors, errors, {}, {}), views, CONFIG)
    assert (refusal is None) == (reason == '')
    assert refusal is None or reason in refusal.what
