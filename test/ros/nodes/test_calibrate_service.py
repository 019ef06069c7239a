# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""~/calibrate over real rclpy: a camera is turned while the node runs, named, and repaired while somebody walks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_srvs.srv import Trigger

from geo_pose_ros.calibration import watch as watching
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.calibration.task import CalibrateTask
from geo_pose_ros.calibration.watch import Proposal
from geo_pose_ros.rigs.rig_file import load_rig
from geo_pose_ros.simulation.walks import GRID_HZ
from geo_pose_ros.types import CameraRig
from test.calibration.walking import errors_as_is, walk
from test.ros.harness import RIG, Walkers, World, until, world

TURNED = 'cam2'
FEW = CalibrateConfig(instants=100)
# What a refinement of some seconds may take on a machine that does much else.
BUSY_S = 300.0


def after_turning() -> CameraRig:
    """Return RIG with one camera panned by 3 degrees."""
    R = Rotation.from_rotvec((0.0, np.radians(3.0), 0.0)).as_matrix()
    return CameraRig(tuple(
        replace(c, cam_from_world=R @ c.cam_from_world) if c.name == TURNED else c for c in RIG.cameras
    ))


def call(w: World) -> Callable[[], Any]:
    """Call the service; return what returns the response once it is there."""
    client = w.tester.create_client(Trigger, '/pose_node/calibrate')
    until(client.service_is_ready, 'the service is there')
    done = client.call_async(Trigger.Request())

    def response() -> Any:
        return done.result() if done.done() else None

    return response


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_a_turned_camera_is_named_and_repaired_and_ids_stay(
    rig_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A refinement in seconds on a busy machine.
    monkeypatch.setattr(watching, 'CalibrateTask', lambda: CalibrateTask(FEW))
    out, now = tmp_path / 'new' / 'rig.yaml', after_turning()
    with world(
        'keypoints', rig_path=rig_path, calibration__apply='apply', calibration__out=str(out),
        pipeline__detector__max_people=2,
    ) as w:
        walker = Walkers(w.cameras, walk(120.0, fps=GRID_HZ))
        w.new_bodies(90)
        walker.rig = now
        for status in (f'camera {TURNED}', 'verdict'):
            w.reported(status, 'is off by', 'its calibration is wrong: run geo_pose calibrate', '~/calibrate')
        until(lambda: abs(float(w.values(f'camera {TURNED}')['calibration_error_deg']) - 3.0) < 0.8, 'it says how far')
        # People walk for a while.
        w.new_bodies(120)
        response = until(call(w), 'the service answers', BUSY_S)
        assert response.success, response.message
        assert f'a better rig is in use, and written to {out}' in response.message
        assert f'{TURNED}: ' in response.message
        before = [b for b in w.bodies if len(b)][-1]
        # In use: all four cameras agree again, and the person is who it was.
        after = w.new_bodies(10, views=4)
        assert set(after[0].body_ids.tolist()) <= set(before.body_ids.tolist())
        until(lambda: 'is off by' not in w.statuses[f'camera {TURNED}'].message, 'it is not called moved any more')
    turns, shifts = errors_as_is(load_rig(out), now)
    assert turns.max() < 0.5
    assert shifts.max() < 30.0
    assert np.abs(after[-1].xyz[0] - walker.joints(after[-1].stamp_ns)[0]).max() < 0.10


class Refinement:
    """A watch's refinement that ends when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: Future[Proposal] = Future()
        monkeypatch.setattr(watching.CalibrationWatch, 'refine_in_background', lambda watch: self._begin(watch))

    def _begin(self, watch: watching.CalibrationWatch) -> Future[Proposal]:
        watch._running = self.done
        return self.done


@pytest.fixture
def refinement(monkeypatch: pytest.MonkeyPatch) -> Refinement:
    return Refinement(monkeypatch)


def test_a_second_call_is_told_and_the_first_one_answered(rig_path: str, refinement: Refinement) -> None:
    with world('keypoints', rig_path=rig_path) as w:
        calls = [call(w), call(w)]
        until(lambda: any(response() for response in calls), 'the one that came second is answered')
        refinement.done.set_result(Proposal(None, 'nobody moved.', (), None))
        until(lambda: all(response() for response in calls), 'the one that came first is answered')
        first, second = sorted((response() for response in calls), key=lambda r: 'running already' in r.message)
        assert (first.success, first.message) == (False, 'no better rig: nobody moved.')
        assert not second.success and 'running already' in second.message


def test_a_proposal_is_written_and_neither_used_nor_over_the_rig_file(rig_path: str, refinement: Refinement) -> None:
    before, beside = Path(rig_path).read_bytes(), Path(rig_path).with_name(f'proposed_{Path(rig_path).name}')
    refinement.done.set_result(Proposal(after_turning(), '', (TURNED,), None))
    same = str(Path(rig_path).parent / '.' / Path(rig_path).name)
    with world('keypoints', rig_path=rig_path, calibration__out=same) as w:
        w.new_bodies(3, views=4)
        assert until(call(w), 'the service answers').message == f'a better rig is written to {beside}'
        w.new_bodies(3, views=4)
    assert Path(rig_path).read_bytes() == before
    assert errors_as_is(load_rig(beside), after_turning())[0].max() < 1e-6


@pytest.mark.parametrize(('out', 'error', 'words'), [
    pytest.param('{folder}/rig.xml', None, ('unknown suffix', 'Set calibration.out'), id='suffix'),
    pytest.param('{file}/rig.yaml', None, ('cannot be made', 'Set calibration.out'), id='folder'),
    pytest.param('rig.yaml', ZeroDivisionError('by 0'), ('calibration failed: ZeroDivisionError: by 0',), id='error'),
])
def test_what_goes_wrong_is_an_answer(
    rig_path: str, refinement: Refinement, tmp_path: Path, out: str, error: Exception | None, words: tuple[str, ...]
) -> None:
    if error is None:
        refinement.done.set_result(Proposal(after_turning(), '', (), None))
    else:
        refinement.done.set_exception(error)
    place = out.format(folder=tmp_path, file=rig_path)
    with world('keypoints', rig_path=rig_path, calibration__out=place, calibration__apply='apply') as w:
        response = until(call(w), 'the service answers')
        assert not response.success and all(word in response.message for word in words)
        w.new_bodies(3, views=4)


def test_a_call_is_answered_when_the_node_is_cleaned_up(rig_path: str, refinement: Refinement) -> None:
    with world('keypoints', rig_path=rig_path) as w:
        response = call(w)
        until(lambda: w.node._session._calibrating._watch.busy, 'it has begun')
        refinement.done.set_result(Proposal(None, 'the refinement was stopped.', (), None))
        w.node.trigger_deactivate()
        w.node.trigger_cleanup()
        assert 'stopped' in until(response, 'the service answers').message
    assert not [t for t in threading.enumerate() if 'calibrate' in t.name]


@pytest.mark.parametrize('watch', [False, True], ids=['no watch', 'no std_srvs'])
def test_without_the_watch_or_std_srvs_the_node_runs_without_service(
    rig_path: str, monkeypatch: pytest.MonkeyPatch, watch: bool
) -> None:
    if watch:
        monkeypatch.setitem(sys.modules, 'std_srvs.srv', None)
    with world('keypoints', rig_path=rig_path, calibration__watch=watch) as w:
        w.new_bodies(1)
        names = [name for name, _ in w.tester.get_service_names_and_types()]
        assert '/pose_node/calibrate' not in names and '/pose_node/get_parameters' in names
        assert ('/pose_node/reload_model' in names) != watch
