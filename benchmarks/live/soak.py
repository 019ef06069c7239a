# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A node under faults for hours: what it costs, what it loses, and whether it says so.

    python -m benchmarks.live.soak [--hours 0.5] [--fault-every 10] [--seed 0]

Four simulated cameras send images (33 Hz, PNG) to a live pose_node with simulated time. Half of the time the rig
stands, calibrated by camera_info and /tf_static; half of the time a file has it, and it is carried.
Every ``--fault-every`` seconds one fault begins and ends after half of that time, each once in a round: a camera dies,
sends garbage, half images, another clock, no stamps, one stamp for ever, or images without a frame; all cameras die; a
second node of the same name; simulated time stops; a parameter is changed; a camera is taken away and put back; of the
rig that stands, camera_info is of another lens, is K = 0, or stops; of the carried one, its transform jumps, is late,
stops, or is no rotation. Ends with a table for each half: how soon the console says it and that it is over, memory,
latency, sets and frames by fate. Fails if the node crashed, a fault was not on the console within 3 s or stayed there,
memory grew by more than 3 % after the first two minutes of a half (or the half of it, where it is shorter than four),
or a frame is unaccounted for.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.harness import parser_of, resident_mb
from geo_pose_ros.detection import base
from test.ros.harness import RIG, Console, World
from test.ros.troubles import Trouble, drills, happening

WARM_UP_S, GROWTH, NAMED_S = 120.0, 0.03, 3.0
# After a camera's last frame the node waits so long before it calls it silent, and looks so often.
STALE_S, LOOK_S = 0.5, 0.25


def _wait(condition: Callable[[], object], limit_s: float) -> None:
    ends = time.monotonic() + limit_s
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)


def _play(
    w: World, console: Console, troubles: Sequence[Trouble], hours: float, every_s: float, seed: int
) -> Iterator[tuple[str, float, float]]:
    """Yield per fault its name, and after how many s the console reported it, and its end (inf: never)."""
    rng = np.random.default_rng(seed)
    ends = time.monotonic() + hours * 3600
    round_of: list[int] = []
    while time.monotonic() < ends:
        round_of = round_of or rng.permutation(len(troubles)).tolist()
        trouble = troubles[round_of.pop()]
        began = time.monotonic()
        with happening(w, str(rng.choice(RIG.names)), trouble):
            time.sleep(every_s / 2)
            over = time.monotonic()
        times_s = [0.0, 0.0]
        if trouble.words:
            # What happens with single frames counts for five seconds.
            _wait(lambda t=trouble, o=over: console.first_s(t.words, o, t.end_begins) is not None, every_s / 2 + 5)
            times_s = [
                float('inf') if at is None else at for at in (
                    console.first_s(trouble.words, began), console.first_s(trouble.words, over, trouble.end_begins)
                )
            ]
        yield trouble.name, *times_s
        _wait(lambda b=began: time.monotonic() - b > every_s, every_s)


def soak(hours: float, every_s: float, seed: int, *, is_carried: bool) -> tuple[dict[str, object], list[str]]:
    """Run, with a rig that is carried or one that stands; return the report and what broke a limit."""
    base._PLUGINS = {**base._PLUGINS, **dict.fromkeys(base._PLUGINS, 'test.ros.harness:PixelDetector')}
    memory: list[tuple[float, float]] = []
    times_s: dict[str, list[tuple[float, float]]] = {}
    settings = {'stale_after_s': STALE_S, 'diagnostics_period_s': LOOK_S}
    with (
        TemporaryDirectory() as folder,
        drills(Path(folder), is_carried=is_carried, **settings) as (w, console, of_any, of_its_own),
    ):
        began, stop = time.monotonic(), threading.Event()

        def watch() -> None:
            while not stop.wait(1.0):
                memory.append((time.monotonic() - began, resident_mb()))
                # The harness keeps all that it hears.
                del w.bodies[:-100], w.cameras.sent_ns[:-100]

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            w.new_bodies(3, views=4)
            for name, began_s, ended_s in _play(w, console, (*of_any, *of_its_own), hours, every_s, seed):
                times_s.setdefault(name, []).append((began_s, ended_s))
            w.new_bodies(3, views=4)
            crashed = w.node.crashed
            values = {status: dict(w.values(status)) for status in w.statuses}
        finally:
            stop.set()
            thread.join()
    return judge(hours, memory, times_s, values, crashed)


def judge(
    hours: float, memory: Sequence[tuple[float, float]], times_s: Mapping[str, Sequence[tuple[float, float]]],
    values: Mapping[str, Mapping[str, str]], crashed: bool,
) -> tuple[dict[str, object], list[str]]:
    """Return the report and what broke a limit.

    Args:
        hours: of this half.
        memory: time since the start, s, and resident set, MB.
        times_s: by fault, after how long the console named it, and its end.
        values: of the last /diagnostics, by status.
        crashed: whether the node did.
    """
    warm = [mb for at, mb in memory if at > min(WARM_UP_S, hours * 1800)]
    tenth = max(1, len(warm) // 10)
    growth = float(np.median(warm[-tenth:]) / np.median(warm[:tenth]) - 1.0)
    faults = {
        name: {'count': len(times), 'named_s': round(max(t for t, _ in times), 2),
               'over_s': round(max(o for _, o in times), 2)}
        for name, times in sorted(times_s.items())
    }
    frames: Counter[str] = Counter()
    for status, pairs in values.items():
        if status.startswith('camera'):
            for key, value in pairs.items():
                if key.startswith(('frames_', 'dropped: ', 'unusable: ')):
                    frames[key] += int(value)
    report = {
        'hours': hours, 'faults': faults, 'memory_mb': round(warm[-1], 1), 'memory_growth': round(growth, 4),
        'pipeline': values['pipeline'], 'frames': dict(frames),
    }
    broken = [f'{name}: named after {f["named_s"]} s' for name, f in faults.items() if f['named_s'] > NAMED_S]
    broken += [f'{name}: never over' for name, f in faults.items() if f['over_s'] == float('inf')]
    broken += ['the node crashed'] if crashed else []
    broken += [f'memory grew by {growth:.1%}'] if growth > GROWTH else []
    lost = frames['frames_received'] - frames['frames_used'] - sum(
        n for key, n in frames.items() if key.startswith('dropped: ')
    )
    # Those that are on their way when the counters are read.
    broken += [f'{lost} frames are unaccounted for'] if not 0 <= lost <= 2 * len(RIG) else []
    return report, broken


def main() -> int:
    """Soak and print the table."""
    parser = parser_of(__doc__)
    parser.add_argument('--hours', type=float, default=0.5)
    parser.add_argument('--fault-every', type=float, default=10.0, metavar='S')
    parser.add_argument('--seed', type=int, default=0)
    given = parser.parse_args()
    import rclpy

    rclpy.init()
    try:
        halves = {
            name: soak(given.hours / 2, given.fault_every, given.seed, is_carried=name == 'carried')
            for name in ('standing', 'carried')
        }
    finally:
        rclpy.try_shutdown()
    print(json.dumps({name: report for name, (report, _) in halves.items()}, indent=2))
    faults = [f'{name}: {fault}' for name, (_, broken) in halves.items() for fault in broken]
    for fault in faults:
        print(f'BROKEN: {fault}')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
