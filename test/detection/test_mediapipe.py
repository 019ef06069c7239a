"""The bundled detector on a real picture of a person, drawn from its own wheel where there is one."""

import sys

import numpy as np
import pytest

from geo_pose_ros.config import DetectorConfig
from geo_pose_ros.detection import blazepose, create_detector
from geo_pose_ros.detection.mediapipe import MediapipeDetector
from geo_pose_ros.errors import ConfigError, DetectorError
from geo_pose_ros.types import Frame


def test_empty_picture_has_nobody():
    pytest.importorskip('mediapipe')
    detector = create_detector(DetectorConfig(), 'cam0')
    try:
        found = detector.detect(Frame('cam0', 5, np.zeros((120, 160, 3), np.uint8)))
    finally:
        detector.close()
    assert found.xy.shape == (0, 33, 2)
    assert (found.camera, found.stamp_ns, found.skeleton.name) == ('cam0', 5, 'blazepose33')


def test_landmarks_become_pixels_and_those_outside_are_missing():
    detector = object.__new__(MediapipeDetector)
    mark = type('Mark', (), {})

    class Pose:
        def find(self, image):
            assert image[0, 0].tolist() == [3, 2, 1]  # RGB
            marks = []
            for i in range(33):
                m = mark()
                m.x, m.y, m.visibility = (0.25, 0.5, 0.9) if i else (1.2, 0.5, 0.9)
                marks.append(m)
            return marks

    detector._camera, detector._pose = 'cam0', Pose()
    found = detector.detect(Frame('cam0', 0, np.full((100, 200, 3), (1, 2, 3), np.uint8)))
    # A quarter of 200 px from the left edge is half a pixel left of pixel 50's centre.
    np.testing.assert_allclose(found.xy[0, 1], (49.5, 49.5))
    assert np.isnan(found.xy[0, 0]).all()
    assert found.confidence[0, :2].tolist() == [0.0, 0.9]


def test_failures_say_what_to_do(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'mediapipe', None)
        with pytest.raises(DetectorError, match=r"cannot be imported.*pip install --no-deps 'mediapipe==0.10.14'"):
            create_detector(DetectorConfig(), 'cam0')
    new = type(sys)('mediapipe')
    new.__version__ = '1.2.2'
    monkeypatch.setitem(sys.modules, 'mediapipe', new)
    with pytest.raises(DetectorError, match=r'version 1\.2\.2 has no BlazePose in its wheel: .*pose_landmarker_'):
        create_detector(DetectorConfig(), 'cam0')


def test_a_wheel_whose_parts_do_not_fit_the_graph_says_what_to_do(monkeypatch):
    pytest.importorskip('mediapipe')
    monkeypatch.setattr(blazepose, '_GRAPH', blazepose._GRAPH.replace('MergeCalculator', 'GoneCalculator'))
    with pytest.raises(DetectorError, match=r"does not run our graph: (.|\n)*GoneCalculator(.|\n)*mediapipe==0.10.14"):
        create_detector(DetectorConfig(), 'cam0')


def test_graph_failure_names_the_camera():
    detector = object.__new__(MediapipeDetector)

    class Broken:
        def find(self, image):
            raise RuntimeError('graph')

    detector._camera, detector._pose = 'cam7', Broken()
    with pytest.raises(DetectorError, match="failed on camera 'cam7': graph"):
        detector.detect(Frame('cam7', 0, np.zeros((9, 9, 3), np.uint8)))


def test_unknown_plugin_is_refused():
    config = object.__new__(DetectorConfig)
    object.__setattr__(config, 'name', 'openpose')
    with pytest.raises(ConfigError, match="No detector plugin 'openpose'; known: mediapipe"):
        create_detector(config, 'cam0')
