# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The pure pipeline: frames in, bodies out."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest

from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import CalibrationError, ConfigError, DetectorError, FrameError
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig, TrackingConfig
from geo_pose_ros.skeleton import BODY17, COCO17, Skeleton
from geo_pose_ros.types import Frame, FrameSet, Keypoints2D

from .inference import onnx_models
from .scenes import Seer, keypoints, person, ring_rig

# Triangulation alone, so that exact keypoints give exact joints.
CONFIG = PipelineConfig(lifter=LifterConfig(enabled=False), tracking=TrackingConfig(enabled=False))
IMAGE = np.zeros((48, 64, 3), np.uint8)


def seer(found):
    """Return a detector that finds the same in all images of a camera."""
    return Seer(lambda frame: replace(found[frame.camera], stamp_ns=frame.stamp_ns))


def test_exact_keypoints_give_the_exact_body():
    rig = ring_rig(4)
    with PosePipeline(rig, CONFIG) as pipeline:
        result = pipeline.fuse(1_000_000_000, keypoints(rig, [person()]))
    np.testing.assert_allclose(result.bodies.xyz[0], person(), atol=1e-3)
    assert result.bodies.frame_id == 'world'
    assert result.bodies.stamp_ns == 1_000_000_000
    assert (result.bodies.num_views == 4).all() and set(result.scene.residuals_px) == set(rig.names)


def test_nobody_and_no_camera_are_an_empty_answer():
    rig = ring_rig(2)
    with PosePipeline(rig, CONFIG) as pipeline:
        empty = {name: Keypoints2D.empty(name, 0, BODY17) for name in rig.names}
        assert len(pipeline.fuse(0, empty).bodies) == 0
        assert len(pipeline.fuse(1, {}).bodies) == 0


def test_detectors_skeletons_are_mapped():
    rig = ring_rig(4)
    joints = person()
    source = np.zeros((17, 3))
    for j, name in enumerate(COCO17.joint_names):
        source[j] = joints[BODY17.index(name)] if name in BODY17.joint_names else joints[10]
    seen = {
        name: Keypoints2D(name, 0, COCO17, k.xy, k.confidence) for name, k in keypoints(rig, [source]).items()
    }
    with PosePipeline(rig, CONFIG) as pipeline:
        result = pipeline.fuse(0, seen)
    hips = (joints[1] + joints[4]) / 2.0
    np.testing.assert_allclose(result.bodies.xyz[0, 13], joints[13], atol=1e-3)
    # The middle of two image points is not exactly the image of the middle.
    np.testing.assert_allclose(result.bodies.xyz[0, 0], hips, atol=0.01)
    assert result.keypoints['cam0'].skeleton is BODY17


def test_reduced_frames_give_raw_pixels():
    rig, truth = ring_rig(3), person()
    seen = keypoints(rig, [truth])
    with PosePipeline(rig, CONFIG, detector=seer(seen)) as pipeline:
        frames = {n: Frame(n, 40 + i, IMAGE, 2) for i, n in enumerate(rig.names)}
        result = pipeline.process(FrameSet(frames))
    assert result.bodies.stamp_ns == 41
    np.testing.assert_allclose(result.keypoints['cam1'].xy, seen['cam1'].xy)
    np.testing.assert_allclose(result.bodies.xyz[0], truth, atol=1e-3)
    assert {'decode', 'detect', 'views', 'associate'} <= set(result.stage_ms)
    assert set(result.views.frames) == set(rig.names)


def test_the_next_set_begins_while_a_camera_of_this_one_is_still_at_work():
    rig = ring_rig(2)
    seen = keypoints(rig, [person()])
    next_is_loaded = threading.Event()
    steps = []

    def see_slowly(frame):
        steps.append((frame.camera, frame.stamp_ns, 'begins'))
        if (frame.camera, frame.stamp_ns) == ('cam1', 0):
            assert next_is_loaded.wait(10.0)
        steps.append((frame.camera, frame.stamp_ns, 'ends'))
        return replace(seen[frame.camera], stamp_ns=frame.stamp_ns)

    def load(name, stamp_ns):
        if (name, stamp_ns) == ('cam1', 1):
            next_is_loaded.set()
        return Frame(name, stamp_ns, IMAGE)

    config = PipelineConfig(detector=DetectorConfig(workers=2))
    with PosePipeline(rig, config, detector=Seer(see_slowly)) as pipeline:
        begun = []
        for stamp_ns in (0, 1):
            begun.append(pipeline.begin({n: lambda n=n, t=stamp_ns: load(n, t) for n in rig.names}))
            begun[-1].wait_for_a_worker()
        views = [detection.views() for detection in begun]
    assert [set(v.keypoints) for v in views] == [set(rig.names)] * 2
    assert [v.frames['cam1'].stamp_ns for v in views] == [0, 1]
    # A camera's frames stay in order, one at a time.
    for name in rig.names:
        assert [step[1:] for step in steps if step[0] == name] == [
            (0, 'begins'), (0, 'ends'), (1, 'begins'), (1, 'ends')
        ]


def test_a_bad_camera_costs_only_itself():
    rig, truth = ring_rig(6), person()
    seen = keypoints(rig, [truth])

    def see(frame):
        if frame.camera == 'cam3':
            raise DetectorError('model gone')
        if frame.camera == 'cam2':
            raise ZeroDivisionError('a bug')
        return replace(seen[frame.camera], stamp_ns=frame.stamp_ns)

    def truncated():
        raise FrameError("Camera 'cam1': JPEG is truncated")

    detector = Seer(see)
    with PosePipeline(rig, CONFIG, detector=detector) as pipeline:
        loaders = {n: lambda n=n: Frame(n, 0, IMAGE) for n in rig.names}
        loaders |= {'cam1': truncated, 'cam0': lambda: [][0]}
        result = pipeline.finish(0, pipeline.begin(loaders).views())
    assert result.views.camera_errors == {
        'cam0': "Camera 'cam0': its image cannot be read: IndexError: list index out of range",
        'cam1': "Camera 'cam1': JPEG is truncated", 'cam3': 'model gone',
        'cam2': "The detector failed on camera 'cam2': ZeroDivisionError: a bug",
    }
    np.testing.assert_allclose(result.bodies.xyz[0], truth, atol=1e-3)
    assert (result.bodies.num_views == 2).all()
    assert detector.closed


def test_one_camera_alone_makes_no_body_until_the_others_are_known_to_be_silent():
    rig, truth = ring_rig(4), person()
    with PosePipeline(rig, PipelineConfig()) as pipeline:
        counts = []
        for tenth in range(13):
            stamp = tenth * 100_000_000
            seen = keypoints(rig, [truth], stamp)
            counts.append(len(pipeline.fuse(stamp, {'cam2': seen['cam2']}).bodies))
        assert counts == [0] * 10 + [1] * 3
        # The body that one camera made up joins the one that the others see.
        for tenth in range(13, 23):
            bodies = pipeline.fuse(tenth * 100_000_000, keypoints(rig, [truth], tenth * 100_000_000)).bodies
    assert len(bodies) == 1 and (bodies.num_views == 4).all()
    np.testing.assert_allclose(bodies.xyz[0], truth, atol=0.02)


def test_the_detector_is_told_whom_to_expect_where():
    rig, truth = ring_rig(4), person()
    seen = keypoints(rig, [truth])
    detector = seer(seen)
    with PosePipeline(rig, CONFIG, detector=detector) as pipeline:
        for stamp in (0, 100_000_000):
            result = pipeline.process(FrameSet({n: Frame(n, stamp, IMAGE) for n in rig.names}))
        with pytest.raises(CalibrationError, match="no camera 'cam9'"):
            pipeline.predict_people({'cam9': 0})
    first, second = detector.expected[:4], detector.expected[4:]
    assert [len(people) for told in first for people in told.values()] == [0] * 4
    for told in second:
        ((name, people),) = told.items()
        assert (people.camera, people.stamp_ns) == (name, 100_000_000)
        assert people.body_ids.tolist() == result.bodies.body_ids.tolist()
        np.testing.assert_allclose(people.xy, seen[name].xy, atol=0.1)


def test_refusals():
    rig = ring_rig(2)
    with PosePipeline(rig, CONFIG) as pipeline:
        with pytest.raises(CalibrationError, match=r"Keypoints of \['cam9'\]: the rig has only cam0, cam1"):
            pipeline.fuse(0, {'cam9': Keypoints2D.empty('cam9', 0, BODY17)})
        odd = Skeleton('odd', ('a',), (), ())
        with pytest.raises(ConfigError, match="No map from skeleton 'odd'"):
            pipeline.fuse(0, {'cam0': Keypoints2D.empty('cam0', 0, odd)})
    with (
        PosePipeline(rig, CONFIG, detector=seer(None)) as pipeline,
        pytest.raises(CalibrationError, match="no camera 'cam9'"),
    ):
        pipeline.process(FrameSet({'cam9': Frame('cam9', 0, IMAGE)}))


def test_a_temporal_lifter_sees_what_each_view_saw_of_the_body_before(tmp_path, monkeypatch):
    model = onnx_models.temporal_lifter(tmp_path / 'temporal.onnx', 3)
    rig, truth = ring_rig(3), person()
    given = []
    config = PipelineConfig(lifter=LifterConfig(model=str(model)))
    with PosePipeline(rig, config) as pipeline:
        infer = pipeline._lifter._backend.infer
        monkeypatch.setattr(
            pipeline._lifter._backend, 'infer', lambda tensors: given.append(tensors['pose2d']) or infer(tensors)
        )
        for i in range(4):
            moved = truth + (0.02 * i, 0.0, 0.0)
            moved[13] += (0.0, 0.0, 0.1 * i)
            pipeline.fuse(i * 100_000_000, keypoints(rig, [moved], stamp_ns=i * 100_000_000))
    now = [window[:, -1] for window in given]
    assert [window.shape for window in given] == [(3, 3, 17, 3)] * 4
    np.testing.assert_array_equal(given[0], np.stack([now[0]] * 3, 1))
    np.testing.assert_allclose(given[1], np.stack([now[0], now[0], now[1]], 1), atol=1e-6)
    np.testing.assert_allclose(given[3], np.stack([now[1], now[2], now[3]], 1), atol=1e-6)
    assert np.abs(now[3] - now[0])[:, 13].max() > 0.2


def test_one_camera_is_enough_with_the_lifter_and_not_without():
    rig, truth = ring_rig(1), person()
    seen = keypoints(rig, [truth])
    with PosePipeline(rig, PipelineConfig()) as pipeline:
        result = pipeline.fuse(0, seen)
    assert np.isfinite(result.bodies.xyz).all()
    assert np.linalg.norm(result.bodies.xyz[0, 0] - truth[0]) < 1.0
    assert {'undistort', 'associate', 'lift', 'solve', 'track'} == set(result.stage_ms)
    with PosePipeline(rig, CONFIG) as pipeline:
        assert len(pipeline.fuse(0, seen).bodies) == 0


def test_people_and_their_ids_survive_a_better_calibration():
    rig, truth = ring_rig(4), [person(), person(1) + (1.5, 0.0, 0.0)]
    detector = seer(keypoints(rig, truth))

    def set_of(pipeline, stamp_ns):
        return pipeline.process(FrameSet({n: Frame(n, stamp_ns, IMAGE) for n in pipeline.rig.names})).bodies

    with PosePipeline(rig.subset(['cam0', 'cam1', 'cam3']), PipelineConfig(), detector=detector) as pipeline:
        before = [set_of(pipeline, i * 10**8) for i in range(2)][-1]
        pipeline.with_rig(rig)
        assert pipeline.rig is rig
        expected = pipeline.predict_people({'cam2': 2 * 10**8})['cam2']
        after = set_of(pipeline, 2 * 10**8)
        # Ids of people who come back after the scene forgot them are new.
        ids = [
            pipeline.fuse(i * 10**8, keypoints(rig, [truth[0] - (0.5 * i, 0.0, 0.0)], stamp_ns=i * 10**8)).bodies
            for i in (100, 101)
        ]
    assert len(before) == 2 and sorted(after.body_ids) == sorted(before.body_ids) == sorted(expected.body_ids)
    assert before.num_views.max() == 3 and after.num_views.max() == 4
    assert not set(ids[-1].body_ids) & set(before.body_ids)
    assert detector.closed


# Compiled functions look up a conversion of types at the first call with them. How often they do in the first sets.
FIRST_SETS = '''
import numpy as np
from numba.core.dispatcher import Dispatcher
from geo_pose_ros.pipeline import PosePipeline
from test.scenes import keypoints, person, ring_rig

found, search = [], Dispatcher._search_new_conversions
Dispatcher._search_new_conversions = lambda self, *a, **k: found.append(self.__name__) or search(self, *a, **k)
rig = ring_rig(4)
with PosePipeline(rig) as pipeline:
    before = len(found)
    for i in range(5):
        pipeline.fuse(i * 50_000_000, keypoints(rig, np.stack([person(1), person(2) + 1.0]), i * 50_000_000))
print(before > 0, found[before:])
'''


@pytest.mark.slow
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason='nothing is compiled')
def test_the_first_sets_find_all_types_known():
    done = subprocess.run(
        [sys.executable, '-c', FIRST_SETS], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout == 'True []\n'
