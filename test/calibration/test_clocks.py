"""Clock offsets of seconds, from motion and geometry."""

import pytest

from geo_pose_ros.calibration.calibrate import tracklets_of
from geo_pose_ros.calibration.clocks import coarse_clocks, motion_peaks
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.errors import CalibrationError

from ..scenes import ring_rig
from .walking import images, walk

RIG = ring_rig(2)


def test_motion_alone_finds_the_lag_among_its_peaks():
    tracklets = tracklets_of(images(RIG, [walk(30.0)], offsets_s=(0.0, 1.4)), RIG, CalibrateConfig())
    peaks = motion_peaks(tracklets['cam0'][0], tracklets['cam1'][0], 5.0)
    assert min(abs(lag - 1.4) for lag, _ in peaks) < 0.05
    assert all(abs(lag) <= 5.0 for lag, _ in peaks)


def test_no_lag_fits():
    one, other = (images(RIG, [walk(15.0, seed=s)])[name] for s, name in ((1, 'cam0'), (9, 'cam1')))
    tracklets = tracklets_of({'cam0': one, 'cam1': other[:20]}, RIG, CalibrateConfig())
    with pytest.raises(CalibrationError, match='No time lag makes the motion that cam1 saw fit'):
        coarse_clocks(tracklets, RIG, 5.0)
