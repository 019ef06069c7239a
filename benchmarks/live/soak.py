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
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

from benchmarks.harness import parser_of, resident_mb
from geo_pose_ros.detection import base
from geo_pose_ros.messages.transforms import rig_to_transforms_stamped, to_transform
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.rigs.topics import TF_MESSAGE
from geo_pose_ros.ros.io.message_factory import message_class
from geo_pose_ros.ros.io.qos import profile
from test.ros.harness import MAKE, RIG, Console, World, changed, small_rig, world

WARM_UP_S, GROWTH, NAMED_S = 120.0, 0.03, 3.0
# After a camera's last frame the node waits so long before it calls it silent, and looks so often.
STALE_S, LOOK_S = 0.5, 0.25
# Between two transforms of a rig that is carried.
TELL_S = 0.01


@dataclass(frozen=True)
class Trouble:
    """A fault: how it begins, words of the line it must have on the console ('' for none), and how it ends.

    What a camera sends is put right anyway. The line that it is over begins with ``end_begins``.
    """

    name: str
    begin: Callable[[World, str], None]
    words: str
    end: Callable[[World], None] = lambda w: None
    end_begins: str = 'over'


def _send(w: World, camera: str, message: Callable[[int], object]) -> None:
    w.cameras.behaviour[camera] = message


def _set(w: World, camera: str) -> None:
    w.node.set_parameters([Parameter('annotated_max_side_px', value=int(np.random.default_rng().integers(64, 1000)))])


def _use(w: World, cameras: Sequence[str]) -> None:
    w.node.set_parameters([Parameter('cameras', value=list(cameras))])


class Surroundings:
    """What is published beside images: /clock, and where the rig is, at rest in `odom`."""

    def __init__(self) -> None:
        self.clock_runs = True
        self.jump_m, self.late_s, self.tells, self.turn = 0.0, 0.0, True, (0.0, 0.0, 0.0, 1.0)
        self._stop = threading.Event()

    def start(self, w: World) -> None:
        """Tell it until ``stop``, from the node that sends images."""
        kind, create = message_class(TF_MESSAGE), w.tester.create_publisher
        clock, tf = create(Clock, '/clock', profile(1, reliable=False)), create(kind, '/tf', profile(100))
        self._static = create(kind, '/tf_static', profile(1, latched=True))
        self._static.publish(kind(transforms=rig_to_transforms_stamped(MAKE, RIG, 0)))

        def tell() -> None:
            while not self._stop.wait(TELL_S):
                if self.clock_runs:
                    clock.publish(Clock(clock=Time(nanoseconds=time.time_ns()).to_msg()))
                if self.tells:
                    tf.publish(kind(transforms=[self._odom_from_world()]))

        self._thread = threading.Thread(target=tell)
        self._thread.start()

    def stop(self) -> None:
        """Tell nothing more."""
        self._stop.set()
        self._thread.join()

    def _odom_from_world(self) -> object:
        stamped = to_transform(MAKE, 'odom', 'world', np.eye(3, 4), time.time_ns() - round(1e9 * self.late_s))
        stamped.transform.translation.x = self.jump_m
        q = stamped.transform.rotation
        q.x, q.y, q.z, q.w = self.turn
        return stamped

    def trouble(self, name: str, words: str, wrong: Mapping[str, object]) -> Trouble:
        """Return what is wrong while the attributes are as ``wrong`` has them."""
        right = {field: getattr(self, field) for field in wrong}
        return Trouble(name, lambda w, c: vars(self).update(wrong), words, lambda w: vars(self).update(right))

    def troubles(self) -> tuple[Trouble, ...]:
        """Return what can be wrong with transforms."""
        return (
            self.trouble('transform jumps', 'jumped by', {'jump_m': 3.0}),
            self.trouble('transform late', 'older than the image', {'late_s': 0.3}),
            self.trouble('transform stops', 'older than the image', {'tells': False}),
            self.trouble('transform wrong', 'expected a unit quaternion', {'turn': (0.0,) * 4}),
        )


def _repeat_stamp(w: World, camera: str) -> None:
    now_ns = time.time_ns()
    _send(w, camera, lambda stamp_ns: w.cameras.compressed(camera, now_ns))


def _inform(w: World, camera: str, **wrong: object) -> None:
    w.cameras.info[camera] = changed(w.cameras.info[camera], **wrong)


LENS = RIG.cameras[0].intrinsics
RIVALS: list[Any] = []
# Of a rig that camera_info calibrates.
INFORMED = (
    Trouble(
        'another lens', lambda w, c: _inform(w, c, k=(np.diag([1.3, 1.3, 1.0]) @ LENS.K).ravel()),
        'another lens from now on', end_begins='camera',
    ),
    Trouble('K = 0', lambda w, c: _inform(w, c, k=np.zeros(9)), 'K = 0'),
    Trouble('camera_info stops', lambda w, c: w.cameras.info.update({c: lambda ns: None}), 'no camera_info on'),
    Trouble(
        'no frame', lambda w, c: _send(w, c, changed(w.cameras.behaviour[c], frame_id='')), 'its images name no frame',
    ),
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
    Trouble('stamp stands', _repeat_stamp, 'none of its last'),
    Trouble('all die', lambda w, c: w.cameras.silence_all(), 'no set published'),
    Trouble(
        'same name', lambda w, c: RIVALS.append(w.tester.create_publisher(PointCloud2, '/pose_node/bodies', 5)),
        '1 more publish', lambda w: w.tester.destroy_publisher(RIVALS.pop()),
    ),
    Trouble('parameter', _set, ''),
    Trouble(
        'taken away', lambda w, c: _use(w, [name for name in RIG.names if name != c]), '',
        lambda w: _use(w, RIG.names),
    ),
)


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
    right, informed = dict(w.cameras.behaviour), dict(w.cameras.info)
    round_of: list[int] = []
    while time.monotonic() < ends:
        round_of = round_of or rng.permutation(len(troubles)).tolist()
        trouble = troubles[round_of.pop()]
        began = time.monotonic()
        trouble.begin(w, str(rng.choice(RIG.names)))
        time.sleep(every_s / 2)
        over = time.monotonic()
        w.cameras.behaviour.update(right)
        w.cameras.info.update(informed)
        trouble.end(w)
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
    around = Surroundings()
    troubles = (*TROUBLES, around.trouble('clock stands', 'simulated time stands', {'clock_runs': False}))
    troubles += around.troubles() if is_carried else INFORMED
    base._PLUGINS = {**base._PLUGINS, **dict.fromkeys(base._PLUGINS, 'test.ros.harness:PixelDetector')}
    memory: list[tuple[float, float]] = []
    times_s: dict[str, list[tuple[float, float]]] = {}
    with TemporaryDirectory() as folder:
        rig = Path(folder) / 'rig.yaml'
        rig.write_text(dump_rig(small_rig()), encoding='utf-8')
        settings: dict[str, Any] = {'stale_after_s': STALE_S, 'diagnostics_period_s': LOOK_S, 'use_sim_time': True}
        settings |= {'rig_path': str(rig), 'tracking_frame': 'odom'} if is_carried else {'cameras': list(RIG.names)}
        with world('compressed', **settings) as w:
            console, began, stop = Console(w), time.monotonic(), threading.Event()

            def watch() -> None:
                while not stop.wait(1.0):
                    memory.append((time.monotonic() - began, resident_mb()))
                    # The harness keeps all that it hears.
                    del w.bodies[:-100], w.cameras.sent_ns[:-100]

            thread = threading.Thread(target=watch)
            thread.start()
            around.start(w)
            try:
                w.new_bodies(3, views=4)
                for name, began_s, ended_s in _play(w, console, troubles, hours, every_s, seed):
                    times_s.setdefault(name, []).append((began_s, ended_s))
                w.new_bodies(3, views=4)
                crashed = w.node.crashed
                values = {status: dict(w.values(status)) for status in w.statuses}
            finally:
                stop.set()
                thread.join()
                around.stop()
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
