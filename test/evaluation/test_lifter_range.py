# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether people whom one camera sees are such as the lifter was trained on."""

from __future__ import annotations

import pytest

from geo_pose_ros.evaluation import lifter_range
from geo_pose_ros.evaluation.lifter_range import LifterRange
from geo_pose_ros.evaluation.quality import ObservedSet
from geo_pose_ros.evaluation.settings import ReportConfig

from ..scenes import person, ring_rig
from .moving import bodies_at, seen_by, stamp_of


def said(shift_m: float, views: int = 1, sets: int = 20, **config: str) -> list[str]:
    """Return the kinds of what is found of a person whom one camera sees, ``shift_m`` farther away."""
    rig = ring_rig(1)
    away = rig.cameras[0].cam_from_world[2, :3] * shift_m
    joints = person(0) + (away[0], away[1], 0.0)
    judge = LifterRange(rig, ReportConfig(**config))
    for number in range(sets):
        seen = {'cam0': seen_by(rig, 'cam0', joints, stamp_of(number))}
        judge.add(ObservedSet(stamp_of(number), seen, bodies_at(number, [joints], views=views)))
    return [found.kind for found in judge.findings()]


def test_people_beyond_the_range_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifter_range, '_range_of', lambda model: {'steepness': (-0.3, 0.9), 'log_size': (-1.0, 1.0)})
    assert said(0.0) == []
    assert said(30.0) == ['log_size']
    # Two cameras know the distance, few sets nothing, and without a vertical nothing is read.
    assert said(30.0, views=2) == said(30.0, sets=5) == said(30.0, up='none') == []
    monkeypatch.setattr(lifter_range, '_range_of', lambda model: {'steepness': (0.8, 0.9), 'log_size': (-9.0, 9.0)})
    assert said(0.0) == ['steepness']


def test_a_card_that_cannot_be_read_says_nothing() -> None:
    assert said(300.0, lifter='/none.onnx') == []
