# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A node under faults for hours: what it costs, what it loses, and whether it says so.

    benchmarks/live/soak.py [--hours 0.5] [--fault-every 10] [--seed 0]

Four simulated cameras send images (33 Hz, PNG) to a live pose_node, half of the time as a rig that stands, half as
one that is carried. Every ``--fault-every`` seconds one fault begins and ends after half of that time: a camera dies,
sends garbage, half images, another clock, or no stamps; all cameras die; a parameter is changed; a camera is taken
away and put back; of the carried rig, its transform jumps, is late, stops, or is no rotation. Ends with a table for
each half: lines on the console per fault and how soon, memory, latency, sets and frames by fate. Fails if the node
crashed, a fault was not on the console within 2 s or stayed there, memory grew by more than 3 % after the first two
minutes of a half (or the half of it, where it is shorter than four), or a frame is unaccounted for.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
from rcl_interfaces.msg import Log
from rclpy.parameter import Parameter
from std_msgs.msg import String

from benchmarks.harness import parser_of, resident_mb
from geo_pose_ros.detection import base
from geo_pose_ros.messages.transforms import to_transform
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.io import transforms
from geo_pose_ros.ros.io.transforms import OwnTransforms
from geo_pose_ros.ros.nodes import rig_source
from test.ros.harness import MAKE, RIG, World, small_rig, world

WARM_UP_S, GROWTH, NAMED_S = 120.0, 0.03, 2.0
# After a camera's last frame the node waits so long before it calls it silent, and looks so often.
STALE_S, LOOK_S = 0.5, 0.25
# Between two transforms of a rig that is carried.
TELL_S = 0.01


@dataclass(frozen=True)
class Trouble:
    """A fault: how it begins, words of the line it must have on the console ('' for none), and how it ends.

    What a camera sends is put right anyway.
    """

    name: str
    begin: Callable[[World, str], None]
    words: str
    end: Callable[[World], None] = lambda w: None


def _send(w: World, camera: str, message: Callable[[int], object]) -> None:
    w.cameras.behaviour[camera] = message


def _silence_all(w: World, camera: str) -> None:
    for name in RIG.names:
        w.cameras.silence(name)


def _set(w: World, camera: str) -> None:
    w.node.set_parameters([Parameter('annotated_max_side_px', value=int(np.random.default_rng().integers(64, 1000)))])


def _use(w: World, cameras: Sequence[str]) -> None:
    w.node.set_parameters([Parameter('cameras', value=list(cameras))])


class Carrier:
    """Tells where the rig is, at rest in `odom`. The ROS wheels lack tf2_msgs: the node's reader is handed it."""

    def __init__(self) -> None:
        self._sources: list[OwnTransforms] = []
        self.jump_m, self.late_s, self.tells, self.turn = 0.0, 0.0, True, (0.0, 0.0, 0.0, 1.0)
        transforms.transform_message = lambda what, otherwise: String
        rig_source.listen_to_transforms = self._listen

    def _listen(self, node: object, complain: Callable[[str], None]) -> OwnTransforms:
        self._sources.append(OwnTransforms(node, complain))
        return self._sources[-1]

    def tell(self) -> None:
        """Tell it now, as things are."""
        stamped = to_transform(MAKE, 'odom', 'world', np.eye(3, 4), time.time_ns() - round(1e9 * self.late_s))
        stamped.transform.translation.x = self.jump_m
        q = stamped.transform.rotation
        q.x, q.y, q.z, q.w = self.turn
        for source in self._sources if self.tells else []:
            source.add(SimpleNamespace(transforms=[stamped]), static=False)

    def change(self, **values: object) -> None:
        """Let it be otherwise from now on."""
        for name, value in values.items():
            setattr(self, name, value)

    def troubles(self) -> tuple[Trouble, ...]:
        """Return what can be wrong with transforms."""

        def of(name: str, words: str, wrong: Mapping[str, object], right: Mapping[str, object]) -> Trouble:
            return Trouble(name, lambda w, c: self.change(**wrong), words, lambda w: self.change(**right))

        return (
            of('transform jumps', 'jumped by', {'jump_m': 3.0}, {'jump_m': 0.0}),
            of('transform late', 'older than the image', {'late_s': 0.3}, {'late_s': 0.0}),
            of('transform stops', 'older than the image', {'tells': False}, {'tells': True}),
            of('transform wrong', 'expected a unit quaternion', {'turn': (0.0,) * 4}, {'turn': (0.0, 0.0, 0.0, 1.0)}),
        )


TROUBLES = (
    Trouble('dies', lambda w, c: w.cameras.silence(c), 'silent for'),
    Trouble('garbage', lambda w, c: _send(w, c, lambda ns: w.cameras.compressed(c, ns, b'garbage')), 'expected a JPEG'),
    Trouble(
        'half an image', lambda w, c: _send(w, c, lambda ns: w.cameras.compressed(c, ns, w.cameras.png[c][:500])),
        'truncated PNG',
    ),
    Trouble('clock', lambda w, c: w.cameras.shift(c, 3_000_000_000), 'its clock is'),
    Trouble('no stamps', lambda w, c: _send(w, c, lambda ns: w.cameras.compressed(c, 0)), 'its stamps are 0'),
    Trouble('all die', _silence_all, 'no set published'),
    Trouble('parameter', _set, ''),
    Trouble(
        'taken away', lambda w, c: _use(w, [name for name in RIG.names if name != c]), '',
        lambda w: _use(w, RIG.names),
    ),
)


class Console:
    """What the node logged, and when."""

    def __init__(self, w: World) -> None:
        self.lines: list[tuple[float, str]] = []
        w.listen(Log, '/rosout', self._on_line)

    def _on_line(self, message: Log) -> None:
        if message.name == 'pose_node':
            self.lines.append((time.monotonic(), message.msg))

    def first(self, words: str, since_s: float, over: bool) -> float | None:
        """Return how long after ``since_s`` a line of ``words`` came (``over``: that it is over)."""
        found = [at for at, line in self.lines if at >= since_s and words in line and line.startswith('over') == over]
        return found[0] - since_s if found else None


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
    right = dict(w.cameras.behaviour)
    while time.monotonic() < ends:
        trouble = troubles[int(rng.integers(len(troubles)))]
        began = time.monotonic()
        trouble.begin(w, str(rng.choice(RIG.names)))
        time.sleep(every_s / 2)
        over = time.monotonic()
        w.cameras.behaviour.update(right)
        trouble.end(w)

        def said_over(words: str = trouble.words, since_s: float = over) -> bool:
            return not words or console.first(words, since_s, over=True) is not None

        # What happens with single frames counts for five seconds.
        _wait(said_over, every_s / 2 + 5)
        if trouble.words:
            named, ended = console.first(trouble.words, began, False), console.first(trouble.words, over, True)
            yield trouble.name, float('inf') if named is None else named, float('inf') if ended is None else ended
        else:
            yield trouble.name, 0.0, 0.0
        _wait(lambda b=began: time.monotonic() - b > every_s, every_s)


def soak(hours: float, every_s: float, seed: int, carrier: Carrier | None) -> tuple[dict[str, object], list[str]]:
    """Run, with a rig that a carrier carries or one that stands; return the report and what broke a limit."""
    troubles = TROUBLES if carrier is None else (*TROUBLES, *carrier.troubles())
    frame = {} if carrier is None else {'tracking_frame': 'odom'}
    base._PLUGINS = {**base._PLUGINS, **dict.fromkeys(base._PLUGINS, 'test.ros.harness:PixelDetector')}
    memory: list[tuple[float, float]] = []
    times_s: dict[str, list[tuple[float, float]]] = {}
    with TemporaryDirectory() as folder:
        rig = Path(folder) / 'rig.yaml'
        rig.write_text(dump_rig(small_rig()), encoding='utf-8')
        with world('compressed', rig_path=str(rig), stale_after_s=STALE_S, diagnostics_period_s=LOOK_S, **frame) as w:
            console, began, stop = Console(w), time.monotonic(), threading.Event()

            def watch() -> None:
                while not stop.wait(1.0):
                    memory.append((time.monotonic() - began, resident_mb()))
                    # The harness keeps all that it hears.
                    del w.bodies[:-100], w.cameras.sent_ns[:-100]

            def tell() -> None:
                while carrier is not None and not stop.wait(TELL_S):
                    carrier.tell()

            threads = [threading.Thread(target=watch), threading.Thread(target=tell)]
            for thread in threads:
                thread.start()
            try:
                w.new_bodies(3, views=4)
                for name, began_s, ended_s in _play(w, console, troubles, hours, every_s, seed):
                    times_s.setdefault(name, []).append((began_s, ended_s))
                w.new_bodies(3, views=4)
                crashed = w.node.crashed
                values = {status: dict(w.values(status)) for status in w.statuses}
            finally:
                stop.set()
                for thread in threads:
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
            name: soak(given.hours / 2, given.fault_every, given.seed, carrier)
            for name, carrier in (('standing', None), ('carried', Carrier()))
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
