"""Our BlazePose graph against mediapipe's own solution, on the picture of a person that comes with matplotlib."""

import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import matplotlib
import numpy as np
import pytest

from geo_pose_ros.config import DetectorConfig
from geo_pose_ros.detection import create_detector
from geo_pose_ros.detection.blazepose import _LANDMARK_MODEL, BlazePose, _needed, _root, _weights, has_blazepose
from geo_pose_ros.types import Frame

mediapipe = pytest.importorskip('mediapipe')


@pytest.fixture(scope='module')
def person():
    path = Path(matplotlib.get_data_path(), 'sample_data', 'grace_hopper.jpg')
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture
def blazepose():
    made = BlazePose(mediapipe)
    yield made
    made.close()


def table(landmarks):
    return np.array([(m.x, m.y, m.visibility) for m in landmarks])


def test_a_single_image_gives_what_the_solution_gives(blazepose, person):
    with mediapipe.solutions.pose.Pose(static_image_mode=True, smooth_landmarks=False) as solution:
        theirs = table(solution.process(person).pose_landmarks.landmark)
    ours = table(blazepose.find(person))
    assert ours.shape == (33, 3)
    np.testing.assert_allclose(ours[:, 2], theirs[:, 2], atol=1e-6)
    # Below the picture's edge, where the crop is empty, the last bit of a sum decides whether the heat map is used.
    inside = (theirs[:, :2] <= 1.0).all(1)
    assert inside.sum() > 10
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=1e-3)


def test_it_follows_the_last_pose_until_told_to_forget(blazepose, person):
    first = table(blazepose.find(person))
    height, width = person.shape[:2]
    shift = np.float32([[1, 0, -0.02 * width], [0, 1, 0]])
    moved = cv2.warpAffine(person, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    followed = table(blazepose.find(moved))
    # The face, which is sharp, moves with the picture; the crop is another one.
    np.testing.assert_allclose(followed[:11, 0] - first[:11, 0], -0.02, atol=0.015)
    assert (table(blazepose.find(person)) != first).any()
    blazepose.forget()
    np.testing.assert_array_equal(table(blazepose.find(person)), first)


def test_who_is_lost_is_looked_for_again(blazepose, person):
    first = table(blazepose.find(person))
    assert blazepose.find(np.zeros_like(person)) is None
    np.testing.assert_array_equal(table(blazepose.find(person)), first)


def test_the_detector_resets_by_forgetting(person):
    detector = create_detector(DetectorConfig(), 'cam0')
    frame = Frame('cam0', 0, cv2.cvtColor(person, cv2.COLOR_RGB2BGR))
    try:
        first = detector.detect(frame).xy
        detector.detect(frame)
        detector.reset()
        np.testing.assert_array_equal(detector.detect(frame).xy, first)
    finally:
        detector.close()


def test_only_operators_that_an_output_depends_on_are_kept():
    def operator(name, inputs, outputs):
        return SimpleNamespace(name=name, inputs=inputs, outputs=outputs)

    operators = [
        operator('stem', [0], [1]), operator('mask', [1], [2]), operator('pose', [1, 9], [3]),
        operator('mask end', [2], [4]), operator('pose end', [3], [5]),
    ]
    assert [kept.name for kept in _needed(operators, [5])] == ['stem', 'pose', 'pose end']
    assert _needed(operators, [4, 5]) == operators
    whole = _root(mediapipe) / _LANDMARK_MODEL
    assert 0 < len(_weights(whole)) < whole.stat().st_size


def test_a_wheel_without_graphs_or_weights_is_told_apart(tmp_path):
    assert has_blazepose(mediapipe)
    empty = SimpleNamespace(CalculatorGraph=object, __file__=str(tmp_path / '__init__.py'))
    assert not has_blazepose(empty)
    assert not has_blazepose(type(sys)('mediapipe'))
