# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One contract for all detectors; small generated ONNX files (inference/onnx_models.py) stand in for real weights."""

import sys
from contextlib import closing

import numpy as np
import pytest

from geo_pose_ros.detection import create_detector
from geo_pose_ros.detection.models.catalogue import packaged
from geo_pose_ros.detection.rtmpose.boxes import box_of, regions_of_boxes
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import ConfigError, DetectorError, GeoPoseError
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.skeleton import BODY17, COCO17, map_to_body17
from geo_pose_ros.types import Frame, PredictedPeople

from ..inference import onnx_models

rtmlib = pytest.importorskip('rtmlib')


KINDS = ['rtmpose', 'whole_body', 'rtmo', 'yolo_pose', 'end_to_end', 'blazepose']


def config(tmp_path, kind):
    """The settings of each kind of detector."""
    if kind == 'blazepose':
        return DetectorConfig()
    made = getattr(onnx_models, kind)(tmp_path / f'{kind}.onnx')
    return DetectorConfig(name='rtmpose', model=str(made))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('size', [(480, 640), (640, 480), (37, 53)])
def test_every_detector_keeps_the_contract(tmp_path, kind, size):
    detector = create_detector(config(tmp_path, kind))
    image = np.full((*size, 3), 90, np.uint8)
    before = image.copy()
    assert detector.is_batched is False
    with closing(detector):
        for stamp_ns in (5, 40_000_000):
            frames = {name: Frame(name, stamp_ns, image, 2) for name in ('cam0', 'cam1')}
            found = detector.detect(frames, {})
            assert set(found) == set(frames)
            for name, seen in found.items():
                people, joints = len(seen.xy), len(detector.skeleton)
                assert (seen.camera, seen.stamp_ns, seen.skeleton) == (name, stamp_ns, detector.skeleton)
                assert seen.xy.shape == (people, joints, 2)
                assert (seen.hints == -1).all()
                known = np.isfinite(seen.xy).all(-1)
                assert ((seen.confidence > 0.0) == known).all()
                # Raw px: the frame is half as large.
                assert (seen.xy[known] >= -0.5).all()
                assert (seen.xy[known] <= 2.0 * np.array(size[::-1]) - 0.5).all()
            np.testing.assert_array_equal(found['cam0'].xy, found['cam1'].xy)
        assert detector.detect({}, {}) == {}
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize('kind', ['rtmo', 'yolo_pose', 'end_to_end'])
def test_one_stage_models_recognise_whom_the_scene_expects(tmp_path, kind):
    detector = create_detector(config(tmp_path, kind))
    person = onnx_models.PERSON_XY.astype(float)
    to_body17 = map_to_body17(COCO17)
    known, _ = to_body17.apply(person[None], np.ones((1, 17)))
    people = np.concatenate([known + 400.0, known + 3.0])
    expected = PredictedPeople('cam0', 0, BODY17, people, np.full((2, 17), 2.0), np.array([4, 9]))
    frame = Frame('cam0', 0, np.zeros((640, 640, 3), np.uint8))
    with closing(detector):
        assert detector.detect({'cam0': frame}, {'cam0': expected})['cam0'].hints.tolist() == [9]
        far = PredictedPeople('cam0', 0, BODY17, people[:1], np.full((1, 17), 2.0), np.array([4]))
        assert detector.detect({'cam0': frame}, {'cam0': far})['cam0'].hints.tolist() == [-1]


def detect(config, image):
    with closing(create_detector(config)) as detector:
        return detector.detect({'cam0': Frame('cam0', 0, image)}, {})['cam0']


@pytest.mark.parametrize('kind', ['rtmo', 'yolo_pose', 'end_to_end'])
@pytest.mark.parametrize(('size', 'ratio'), [((640, 640), 1.0), ((320, 320), 2.0), ((960, 1280), 0.5)])
def test_one_stage_models_find_the_one_person_above_the_threshold(tmp_path, kind, size, ratio):
    found = detect(config(tmp_path, kind), np.zeros((*size, 3), np.uint8))
    assert found.skeleton.name == 'coco17'
    np.testing.assert_allclose(found.xy, onnx_models.PERSON_XY[None] / ratio, atol=1e-3)
    np.testing.assert_allclose(found.confidence, 0.8, atol=1e-6)


@pytest.mark.parametrize('kind', ['rtmpose', 'whole_body'])
def test_rtmpose_reads_the_regions_of_people(tmp_path, kind):
    xy = np.random.default_rng(0).uniform(0.0, 1.0, (1, 17, 2)) * (60.0, 180.0) + (60.0, 40.0)
    predicted = PredictedPeople('cam0', 0, BODY17, xy, np.full((1, 17), 2.0), np.array([4]))
    with closing(create_detector(config(tmp_path, kind))) as detector:
        frame = Frame('cam0', 0, np.zeros((256, 192, 3), np.uint8))
        found = detector.detect({'cam0': frame}, {'cam0': predicted})['cam0']
    assert found.skeleton.name == 'coco17'
    # The region is the box around the person, with 25 % of padding and sigma; a SimCC bin is half a pixel of it.
    region = regions_of_boxes(box_of(xy, 0.08) + (-2.0, -2.0, 2.0, 2.0), 0.75)
    joints = np.arange(17)
    bins = np.stack([(10 * joints + 20) / 384.0, (20 * joints + 30) / 512.0], -1)
    np.testing.assert_allclose(found.xy, region.to_image(bins[None]), atol=1e-3)
    np.testing.assert_allclose(found.confidence[0], 0.9, atol=1e-6)


def test_nobody(tmp_path):
    def model(name, image, **outputs):
        return str(onnx_models.constant(tmp_path / f'{name}.onnx', image, (640, 640), outputs))

    for settings in (
        {'model': str(onnx_models.rtmpose(tmp_path / 'pose.onnx'))},
        {'model': model('rtmo', 'input', dets=np.zeros((2, 5)), keypoints=np.zeros((2, 17, 3)))},
        {'model': model('yolo', 'images', output0=np.zeros((56, 3)))},
    ):
        image = np.zeros((64, 64, 3), np.uint8)
        assert len(detect(DetectorConfig(name='rtmpose', **settings), image).xy) == 0


def test_other_outputs_a_missing_file_and_a_silly_name_are_refused(tmp_path):
    other = onnx_models.double(tmp_path / 'double.onnx')
    with pytest.raises(DetectorError, match=r"'double.onnx' gives doubled .* expected RTMPose, RTMO or YOLO-pose"):
        create_detector(DetectorConfig(name='rtmpose', model=str(other)))
    with pytest.raises(DetectorError, match='does not exist'):
        create_detector(DetectorConfig(name='rtmpose', model=str(tmp_path / 'none.onnx')))
    with pytest.raises(DetectorError, match=r"no model 'huge'.*balanced.*rtmo-balanced"):
        create_detector(DetectorConfig(name='rtmpose', model='huge'))


def test_names_are_fetched_by_rtmlib_and_a_failure_says_what_to_do(tmp_path, monkeypatch):
    from rtmlib.tools import file

    made = {'rtmpose': onnx_models.rtmpose(tmp_path / 'p.onnx'), 'rtmo': onnx_models.rtmo(tmp_path / 'o.onnx')}
    asked = []

    def download(url):
        asked.append(url)
        return str(next(path for kind, path in made.items() if f'/{kind}-' in url))

    monkeypatch.setattr(file, 'download_checkpoint', download)
    for name in ('rtmo-lightweight', 'lightweight', ''):
        create_detector(DetectorConfig(name='rtmpose', model=name)).close()
    assert len(asked) == 3

    def offline(url):
        raise OSError('no network')

    monkeypatch.setattr(file, 'download_checkpoint', offline)
    with pytest.raises(DetectorError, match=r'cannot fetch https.*no network.*set model to the .onnx file'):
        create_detector(DetectorConfig(name='rtmpose'))


@pytest.mark.parametrize('kind', ['rtmo', 'rtmpose', 'blazepose'])
def test_a_model_that_fails_is_a_detectors_error(tmp_path, kind):
    detector = create_detector(config(tmp_path, kind))
    detector.close()
    with pytest.raises(GeoPoseError, match='is closed'):
        detector.detect({'cam7': Frame('cam7', 0, np.zeros((8, 8, 3), np.uint8))}, {})


def test_the_engine_is_the_one_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    model = onnx_models.rtmo(tmp_path / 'rtmo.onnx')
    settings = DetectorConfig(name='rtmpose', model=str(model), engine=EngineConfig(engine='tensorrt'))
    with pytest.raises(DetectorError, match=r'go on with engine:=onnxruntime'):
        create_detector(settings)


def test_without_rtmlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rtmlib', None)
    with pytest.raises(DetectorError, match=r"pip install --no-deps 'rtmlib==0.0.16'"):
        create_detector(DetectorConfig(name='rtmpose'))


def test_keypoints_from_elsewhere_refuse_an_image():
    with pytest.raises(DetectorError, match=r"'cam0' sent an image.*Set transport to keypoints"):
        detect(DetectorConfig(name='keypoints'), np.zeros((8, 8, 3), np.uint8))
    detector = create_detector(DetectorConfig(name='keypoints'))
    assert detector.skeleton.name == 'body17'
    assert not detector.is_batched


def test_unknown_plugin_is_refused():
    config = object.__new__(DetectorConfig)
    object.__setattr__(config, 'name', 'openpose')
    with pytest.raises(ConfigError, match="No detector plugin 'openpose'; known: blazepose"):
        create_detector(config)


def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path):
    damaged = tmp_path / 'damaged.onnx'
    damaged.write_bytes(packaged('blazepose_full').read_bytes()[:100_000])
    foreign = onnx_models.rtmo(tmp_path / 'foreign.onnx')
    for model, reason in ((damaged, 'cannot load'), (foreign, r'foreign.onnx.*expected.*landmarks')):
        with pytest.raises(DetectorError, match=rf"Detector 'blazepose': .*{reason}"):
            create_detector(DetectorConfig(model=str(model)))
    with pytest.raises(DetectorError, match=r'foreign.onnx.*expected.*boxes'):
        create_detector(DetectorConfig(person_model=str(foreign)))
