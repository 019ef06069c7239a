# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The fuzz target: a few hundred messages, and proof that it finds what it looks for."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

pytest.importorskip('rclpy')

from . import messages


@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_damaged_messages_cost_an_error_of_ours_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    # Time is for `make fuzz`, on a machine of its own.
    monkeypatch.setattr(messages, 'LIMIT_S', float('inf'))
    outcomes, _, worst_mb = messages.fuzz(float('inf'), 600, 1)
    assert sum(outcomes.values()) == 600
    assert worst_mb < messages.LIMIT_MB
    # Both what is read and what is refused occur, for each kind of message.
    for target in messages.TARGETS:
        assert outcomes[f'{target}: read'] > 0
    assert outcomes['compressed: FrameError'] > 0 and outcomes['camera_info: CalibrationError'] > 0


@pytest.mark.parametrize(
    ('outcome', 'words'),
    [(ZeroDivisionError('zero'), r"one\('bad', 7\): ZeroDivisionError: zero"),
     (('read', 0.6, 0.0), r"one\('bad', 7\): 0\.60 s, 0 MB; allowed 0\.5 s, 200\.0 MB"),
     (('read', 0.0, 300.0), r"one\('bad', 7\): 0\.00 s, 300 MB")],
    ids=['foreign error', 'slow', 'hungry'],
)  # fmt: skip
def test_what_breaks_a_limit_is_named_with_its_seed(monkeypatch: pytest.MonkeyPatch, outcome: Any, words: str) -> None:
    monkeypatch.setattr(messages, 'TARGETS', {'bad': ()})
    monkeypatch.setattr(messages, 'one', Mock(side_effect=[outcome, outcome]))
    with pytest.raises(RuntimeError, match=words):
        messages.fuzz(60.0, 10, 7)
