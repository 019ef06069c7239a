"""One contract for all detectors; small generated ONNX files (test/onnx_models.py) stand in for real weights."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from geo_pose_ros.config import DetectorConfig, EngineConfig
from geo_pose_ros.detection import create_detector
from geo_pose_ros.errors import DetectorError
from geo_pose_ros.types import Frame

from .. import onnx_models

rtmlib = pytest.importorskip('rtmlib')


def config(tmp_path, kind):
    """The settings of each kind of detector."""
    if kind == 'mediapipe':
        pytest.importorskip('mediapipe')
        return DetectorConfig()
    if kind == 'mediapipe tasks':
        return DetectorConfig(model=str(tmp_path / 'pose.task'))
    made = getattr(onnx_models, kind)(tmp_path / f'{kind}.onnx')
    return DetectorConfig(name='rtmpose', model=str(made))


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """mediapipe 1.0 in as far as the detector uses it: a landmarker that sees one person in bright images."""
    seen = []

    class Landmarker:
        def detect_for_video(self, image, ms):
            seen.append(ms)
            if image.data.mean() < 1.0:
                return SimpleNamespace(pose_landmarks=[])
            marks = [SimpleNamespace(x=0.25, y=0.5, visibility=0.9) for _ in range(32)]
            return SimpleNamespace(pose_landmarks=[[SimpleNamespace(x=1.2, y=0.5, visibility=0.9), *marks]])

        def reset(self):
            pass

        def close(self):
            seen.append('closed')

    def create(options):
        if options['base_options']['model_asset_path'].endswith('bad.task'):
            raise ValueError('no flatbuffer')
        return Landmarker()

    new = ModuleType('mediapipe')
    new.__version__ = '1.2.2'
    new.ImageFormat = SimpleNamespace(SRGB=1)
    new.Image = lambda image_format, data: SimpleNamespace(data=data)
    new.tasks = SimpleNamespace(
        BaseOptions=dict,
        vision=SimpleNamespace(
            RunningMode=SimpleNamespace(VIDEO='video'), PoseLandmarkerOptions=dict,
            PoseLandmarker=SimpleNamespace(create_from_options=create),
        ),
    )
    monkeypatch.setitem(sys.modules, 'mediapipe', new)
    (tmp_path / 'pose.task').write_bytes(b'model')
    return seen


@pytest.mark.parametrize('kind', ['rtmpose', 'rtmo', 'yolo_pose', 'mediapipe', 'mediapipe tasks'])
@pytest.mark.parametrize('size', [(480, 640), (640, 480), (37, 53)])
def test_every_detector_keeps_the_contract(tmp_path, request, kind, size):
    if kind == 'mediapipe tasks':
        request.getfixturevalue('tasks')
    detector = create_detector(config(tmp_path, kind), 'cam0')
    image = np.full((*size, 3), 90, np.uint8)
    before = image.copy()
    try:
        for stamp_ns in (5, 40_000_000):
            found = detector.detect(Frame('cam0', stamp_ns, image))
            people, joints = len(found.xy), len(detector.skeleton)
            assert (found.camera, found.stamp_ns, found.skeleton) == ('cam0', stamp_ns, detector.skeleton)
            assert found.xy.shape == (people, joints, 2)
            seen = np.isfinite(found.xy).all(-1)
            assert ((found.confidence > 0.0) == seen).all()
            assert (found.xy[seen] >= -0.5).all()
            assert (found.xy[seen] <= np.array(size[::-1]) - 0.5).all()
    finally:
        detector.close()
    np.testing.assert_array_equal(image, before)


def detect(config, image):
    detector = create_detector(config, 'cam0')
    try:
        return detector.detect(Frame('cam0', 0, image))
    finally:
        detector.close()


@pytest.mark.parametrize('kind', ['rtmo', 'yolo_pose'])
@pytest.mark.parametrize(('size', 'ratio'), [((640, 640), 1.0), ((320, 320), 2.0), ((960, 1280), 0.5)])
def test_one_stage_models_find_the_one_person_above_the_threshold(tmp_path, kind, size, ratio):
    found = detect(config(tmp_path, kind), np.zeros((*size, 3), np.uint8))
    assert found.skeleton.name == 'coco17'
    np.testing.assert_allclose(found.xy, onnx_models.PERSON_XY[None] / ratio, atol=1e-3)
    np.testing.assert_allclose(found.confidence, 0.8, atol=1e-6)


def test_rtmpose_without_person_detector_takes_the_whole_image(tmp_path):
    found = detect(config(tmp_path, 'rtmpose'), np.zeros((256, 192, 3), np.uint8))
    # The crop is the image with 25 % of padding around its centre; a SimCC bin is half a pixel of the input.
    joints = np.arange(17)
    x = (10 * joints + 20) / 2.0 * 1.25 + (96.0 - 0.5 * 240.0)
    y = (20 * joints + 30) / 2.0 * 1.25 + (128.0 - 0.5 * 320.0)
    inside = (x >= -0.5) & (x <= 191.5) & (y >= -0.5) & (y <= 255.5)
    np.testing.assert_allclose(found.xy[0, inside], np.stack([x, y], 1)[inside], atol=1e-3)
    assert np.isnan(found.xy[0, ~inside]).all()
    np.testing.assert_allclose(found.confidence[0, inside], 0.9, atol=1e-6)


def test_rtmpose_with_a_person_detector_crops_to_each_person(tmp_path):
    boxes = onnx_models._constant(
        tmp_path / 'persons.onnx', 'images', (640, 640),
        {'dets': np.array([[100.0, 100.0, 160.0, 180.0, 0.9], [300.0, 200.0, 360.0, 280.0, 0.8], [0, 0, 9, 9, 0.1]])},
    )
    pose = onnx_models.rtmpose(tmp_path / 'pose.onnx')
    found = detect(
        DetectorConfig(name='rtmpose', model=str(pose), person_model=str(boxes)), np.zeros((640, 640, 3), np.uint8)
    )
    assert len(found.xy) == 2
    np.testing.assert_allclose(found.xy[1] - found.xy[0], np.tile([200.0, 100.0], (17, 1)), atol=1e-3)


def test_nobody(tmp_path):
    boxes = onnx_models._constant(
        tmp_path / 'persons.onnx', 'images', (640, 640), {'dets': np.array([[0.0, 0.0, 9.0, 9.0, 0.1]])}
    )
    pose = onnx_models.rtmpose(tmp_path / 'pose.onnx')
    image = np.zeros((64, 64, 3), np.uint8)
    assert len(detect(DetectorConfig(name='rtmpose', model=str(pose), person_model=str(boxes)), image).xy) == 0
    empty = onnx_models._constant(
        tmp_path / 'rtmo.onnx', 'input', (640, 640), {'dets': np.zeros((2, 5)), 'keypoints': np.zeros((2, 17, 3))}
    )
    assert len(detect(DetectorConfig(name='rtmpose', model=str(empty)), image).xy) == 0
    empty = onnx_models._constant(tmp_path / 'yolo.onnx', 'images', (640, 640), {'output0': np.zeros((56, 3))})
    assert len(detect(DetectorConfig(name='rtmpose', model=str(empty)), image).xy) == 0


def test_other_outputs_a_missing_file_and_a_silly_name_are_refused(tmp_path):
    other = onnx_models.double(tmp_path / 'double.onnx')
    with pytest.raises(DetectorError, match=r"'double.onnx' gives doubled .* expected RTMPose, RTMO or YOLO-pose"):
        create_detector(DetectorConfig(name='rtmpose', model=str(other)), 'cam0')
    with pytest.raises(DetectorError, match='does not exist'):
        create_detector(DetectorConfig(name='rtmpose', model=str(tmp_path / 'none.onnx')), 'cam0')
    with pytest.raises(DetectorError, match=r"no model 'huge'.*balanced.*rtmo-balanced"):
        create_detector(DetectorConfig(name='rtmpose', model='huge'), 'cam0')


def test_names_are_fetched_by_rtmlib_and_a_failure_says_what_to_do(tmp_path, monkeypatch):
    from rtmlib.tools import file

    made = {'rtmpose': onnx_models.rtmpose(tmp_path / 'p.onnx'), 'rtmo': onnx_models.rtmo(tmp_path / 'o.onnx')}
    persons = onnx_models._constant(tmp_path / 'persons.onnx', 'i', (416, 416), {'dets': np.zeros((1, 5))})
    asked = []

    def download(url):
        asked.append(url)
        return str(next((path for kind, path in made.items() if f'/{kind}-' in url), persons))

    monkeypatch.setattr(file, 'download_checkpoint', download)
    for name, urls in (('rtmo-lightweight', 1), ('lightweight', 2), ('', 2)):
        asked.clear()
        create_detector(DetectorConfig(name='rtmpose', model=name), 'cam0').close()
        assert len(asked) == urls

    def offline(url):
        raise OSError('no network')

    monkeypatch.setattr(file, 'download_checkpoint', offline)
    with pytest.raises(DetectorError, match=r'cannot fetch https.*no network.*set model to the .onnx file'):
        create_detector(DetectorConfig(name='rtmpose'), 'cam0')


def test_a_model_that_fails_names_the_camera(tmp_path, monkeypatch):
    detector = create_detector(config(tmp_path, 'rtmo'), 'cam7')
    detector.close()
    with pytest.raises(DetectorError, match=r"failed on camera 'cam7': .* is closed"):
        detector.detect(Frame('cam7', 0, np.zeros((8, 8, 3), np.uint8)))


def test_the_engine_is_the_one_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    model = onnx_models.rtmo(tmp_path / 'rtmo.onnx')
    settings = DetectorConfig(name='rtmpose', model=str(model), engine=EngineConfig(engine='tensorrt'))
    with pytest.raises(DetectorError, match=r'go on with engine:=onnxruntime'):
        create_detector(settings, 'cam0')


def test_without_rtmlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rtmlib', None)
    with pytest.raises(DetectorError, match=r"pip install --no-deps 'rtmlib==0.0.16'"):
        create_detector(DetectorConfig(name='rtmpose'), 'cam0')


def test_keypoints_from_elsewhere_refuse_an_image():
    with pytest.raises(DetectorError, match=r"'cam0' sent an image.*Set transport to keypoints"):
        detect(DetectorConfig(name='keypoints'), np.zeros((8, 8, 3), np.uint8))
    detector = create_detector(DetectorConfig(name='keypoints'), 'cam0')
    assert detector.skeleton.name == 'body17'


def test_tasks_api_values_stamps_and_refusals(tmp_path, tasks):
    detector = create_detector(DetectorConfig(model=str(tmp_path / 'pose.task')), 'cam0')
    bright = np.full((100, 200, 3), 90, np.uint8)
    found = detector.detect(Frame('cam0', 7_000_000, bright))
    np.testing.assert_allclose(found.xy[0, 1], (49.5, 49.5))
    assert np.isnan(found.xy[0, 0]).all()
    # the clock goes back, the graph's does not
    assert len(detector.detect(Frame('cam0', 0, np.zeros((8, 8, 3), np.uint8))).xy) == 0
    detector.close()
    assert tasks == [7, 8, 'closed']
    with pytest.raises(DetectorError, match=r"none.task' does not exist. Download a pose_landmarker"):
        create_detector(DetectorConfig(model=str(tmp_path / 'none.task')), 'cam0')
    (tmp_path / 'bad.task').write_bytes(b'')
    with pytest.raises(DetectorError, match=r'no flatbuffer. Give a pose_landmarker'):
        create_detector(DetectorConfig(model=str(tmp_path / 'bad.task')), 'cam0')


def test_tasks_api_failure_names_the_camera(tmp_path, tasks):
    detector = create_detector(DetectorConfig(model=str(tmp_path / 'pose.task')), 'cam3')

    def fail(*_):
        raise RuntimeError('graph')

    detector._landmarker.detect_for_video = fail
    with pytest.raises(DetectorError, match="failed on camera 'cam3': graph"):
        detector.detect(Frame('cam3', 0, np.zeros((8, 8, 3), np.uint8)))
