# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From sets to results: what the runner reads, places, fuses and tells, online and offline alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.detection.stage import FrameLoader
from geo_pose_ros.errors import CalibrationError, FrameError, GeoPoseError, TransformError
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PipelineResult, PosePipeline
from geo_pose_ros.rigs.moving import CameraPoses
from geo_pose_ros.runner import SetRunner
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.scene.sync import StampedSet
from geo_pose_ros.types import Camera, ClockModel, Frame, Keypoints2D

from .scenes import Seer, keypoints, person, ring_rig

RIG = ring_rig(3)
PERIOD_NS = 33_000_000
IMAGE = np.zeros((960, 1280, 3), np.uint8)
# What a camera sent: its stamp, and whether as keypoints or as an image; '' for what cannot be read.
Sent = tuple[str, int]


def read(camera: Camera, sent: Sent) -> Keypoints2D | FrameLoader:
    kind, stamp_ns = sent
    if not kind:
        raise FrameError(f"Camera '{camera.name}': garbage")
    if kind == 'keypoints':
        return keypoints(RIG, [person(0)], stamp_ns)[camera.name]

    def load() -> Frame:
        if kind == 'torn':
            raise FrameError(f"Camera '{camera.name}': torn")
        return Frame(camera.name, stamp_ns, IMAGE)

    return load


def a_set(number: int, *kinds: str, cameras: tuple[str, ...] = RIG.names) -> StampedSet[Sent]:
    stamp_ns = 1_000_000_000 + number * PERIOD_NS
    sent = {name: (kind, stamp_ns) for name, kind in zip(cameras, kinds, strict=True)}
    return StampedSet(sent, dict.fromkeys(sent, stamp_ns), stamp_ns, 0, 0, 0)


class Results:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, PipelineResult]] = []
        self.faults: list[Mapping[str, TransformError]] = []
        self.errors: list[tuple[int, str]] = []

    def take(self, found: StampedSet[Sent], result: PipelineResult) -> None:
        self.taken.append((found.stamp_ns, result))

    def unplaced(self, faults: Mapping[str, TransformError]) -> None:
        self.faults.append(faults)

    def failed(self, stamp_ns: int, error: GeoPoseError) -> None:
        self.errors.append((stamp_ns, str(error)))


def pipeline() -> PosePipeline:
    truth = Seer(lambda frame: keypoints(RIG, [person(0)], frame.stamp_ns)[frame.camera])
    return PosePipeline(RIG, PipelineConfig(lifter=LifterConfig(enabled=False)), detector=truth)


@pytest.mark.parametrize('online', [False, True], ids=['offline', 'online'])
def test_any_mix_of_images_and_keypoints_becomes_bodies_in_order(online: bool) -> None:
    sink, told = Results(), []
    with pipeline() as made:
        runner = SetRunner(made, read, sink, use_clocks=told.append, online=online)
        for number in range(4):
            runner.process(a_set(number, 'image', 'keypoints', 'image'))
            # Offline a set is detected while the one before waits to be fused.
            assert online or len(sink.taken) == number
        runner.close()
    assert [stamp_ns for stamp_ns, _ in sink.taken] == [a_set(number, *'abc').stamp_ns for number in range(4)]
    for _, result in sink.taken:
        np.testing.assert_allclose(result.bodies.xyz[0], person(0), atol=1e-3)
        assert (result.bodies.num_views == 3).all() and set(result.views.frames) == {'cam0', 'cam2'}
    assert sink.errors == sink.faults == []
    # What the rig tells, and after each set what people have shown.
    assert len(told) == 5 and told[0] == dict.fromkeys(RIG.names, ClockModel())


def test_what_cannot_be_read_costs_its_camera_only() -> None:
    sink = Results()
    with pipeline() as made:
        runner = SetRunner(made, read, sink)
        runner.process(a_set(0, '', 'torn', 'image'))
        runner.process(a_set(1, 'image', cameras=('cam9',)))
        runner.wait()
    [(_, result)] = sink.taken
    assert set(result.keypoints) == {'cam2'}
    assert result.views.camera_errors == {'cam0': "Camera 'cam0': garbage", 'cam1': "Camera 'cam1': torn"}
    [(stamp_ns, error)] = sink.errors
    assert stamp_ns == a_set(1, 'a', cameras=('x',)).stamp_ns and "no camera 'cam9'" in error


def test_a_set_that_cannot_be_fused_is_told_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = PosePipeline.finish

    def fails_once(self: PosePipeline, stamp_ns: int, *rest: object) -> PipelineResult:
        if stamp_ns == a_set(1, *'abc').stamp_ns:
            raise CalibrationError('broken')
        return finish(self, stamp_ns, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(PosePipeline, 'finish', fails_once)
    sink = Results()
    with pipeline() as made:
        runner = SetRunner(made, read, sink)
        for number in range(3):
            runner.process(a_set(number, 'keypoints', 'keypoints', 'keypoints'))
        runner.wait()
    assert len(sink.taken) == 2 and sink.errors == [(a_set(1, *'abc').stamp_ns, 'broken')]


class Carried:
    """A rig whose cameras stand where the rig says, but for one that nobody knows of."""

    def __init__(self) -> None:
        self.asked: list[dict[str, int]] = []

    def poses_about(self, stamps_ns: Mapping[str, int]) -> dict[str, FloatArray]:
        return {name: RIG[name].cam_from_world for name in stamps_ns}

    def poses_at(self, stamps_ns: Mapping[str, int]) -> CameraPoses:
        self.asked.append(dict(stamps_ns))
        return CameraPoses(
            {name: RIG[name].cam_from_world for name in stamps_ns if name != 'cam1'},
            {'cam1': TransformError('late', 'not yet')},
        )


def test_moving_cameras_are_placed_on_the_common_clock() -> None:
    ahead = tuple(replace(c, clock=ClockModel(0.004)) if c.name == 'cam2' else c for c in RIG.cameras)
    sink, carried = Results(), Carried()
    with PosePipeline(replace(RIG, cameras=ahead), PipelineConfig(lifter=LifterConfig(enabled=False))) as made:
        runner = SetRunner(made, read, sink, carried)
        runner.process(a_set(0, 'keypoints', 'keypoints', 'keypoints'))
        runner.wait()
    stamp_ns = a_set(0, *'abc').stamp_ns
    assert carried.asked == [{'cam0': stamp_ns, 'cam1': stamp_ns, 'cam2': stamp_ns - 4_000_000}]
    [(_, result)] = sink.taken
    assert set(result.keypoints) == {'cam0', 'cam2'} and 'transforms' in result.stage_ms
    assert [fault['cam1'].kind for fault in sink.faults] == ['late']


def test_an_error_that_nobody_expects_reaches_the_caller() -> None:
    with pipeline() as made, pytest.raises(ZeroDivisionError):
        SetRunner(made, lambda camera, sent: 1 // 0, Results()).process(a_set(0, *'abc'))  # type: ignore[arg-type]
