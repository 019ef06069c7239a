"""The fuzz target: a few hundred messages, and proof that it finds what it looks for."""

from __future__ import annotations

import time

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


def hungry(data: bytes) -> None:
    held = bytearray(300_000_000)
    held[::4096] = b'\1' * len(held[::4096])


def slow(data: bytes) -> None:
    ends = time.perf_counter() + 0.6
    while time.perf_counter() < ends:
        pass


@pytest.mark.parametrize(
    ('read', 'words'),
    [(lambda b: 1 / 0, r"one\('bad', 7\): ZeroDivisionError"), (slow, r'one\(.bad., 7\): 0\.\d+ s'),
     (hungry, r'one\(.bad., 7\): .*, [23]\d\d MB')],
)
def test_what_breaks_a_limit_is_told_with_its_seed(
    monkeypatch: pytest.MonkeyPatch, read: object, words: str
) -> None:
    monkeypatch.setattr(messages, 'TARGETS', {'bad': (lambda rng: b'x' * 99, read)})
    if read is hungry:
        # The peak of this process may be higher already, and only rises once.
        taken = iter([0, 300 * 1024] * 2)
        usage = type('Usage', (), {'ru_maxrss': property(lambda self: next(taken))})
        monkeypatch.setattr(messages.resource, 'getrusage', lambda who: usage())
    with pytest.raises(RuntimeError, match=words):
        messages.fuzz(60.0, 10, 7)
