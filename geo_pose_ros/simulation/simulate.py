# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A simulated scene through synchroniser and pipeline, as the node runs them, in simulated time.

Example::

    scenario = Scenario(cameras=4, people=3)
    world = build(scenario)                     # motion, rigs, every camera's keypoints as they arrive
    simulated = run(world)                      # through FrameSynchronizer and PosePipeline
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import process_time

import numpy as np

from ..arrays import NS_PER_S, FloatArray
from ..pipeline import PosePipeline
from ..ros.settings import NodeConfig
from ..scene.bodies import MeasuredBodies
from ..scene.cameras.states import CameraState
from ..scene.sync import FrameSynchronizer, StampedSet
from ..skeleton import BODY17
from ..types import Bodies3D, Keypoints2D
from .scenario import World

# Stamps in, where cameras that move were, (3, 4) m by name.
CameraPoses = Callable[[Mapping[str, int]], Mapping[str, FloatArray]]


@dataclass(frozen=True, slots=True)
class Alone:
    """Only one person's keypoints, so that nobody else's can be taken for theirs.

    Attributes:
        person: index.
        clean: without errors that an oracle knows.
    """

    person: int
    clean: bool = True


def arrivals(world: World, alone: Alone | None = None) -> list[tuple[int, Keypoints2D]]:
    """Return when, ns, which keypoints reach the node, in order."""
    found = []
    for record in world.cameras:
        d = record.detections
        shuffle = np.random.default_rng([world.scenario.seed, 99])
        for f in range(len(record.stamp_ns)):
            xy, confidence, is_found = d.xy[f], d.confidence[f], d.found[f]
            if alone is not None and alone.clean:
                xy, confidence, is_found = d.clean_xy[f], d.clean_confidence[f], d.clean_found[f]
            rows = np.flatnonzero(is_found)
            rows = shuffle.permutation(rows) if alone is None else rows[rows == alone.person]
            stamp_ns = int(record.stamp_ns[f])
            keypoints = Keypoints2D(record.camera.name, stamp_ns, BODY17, xy[rows], confidence[rows])
            found.append((int(record.arrival_ns[f]), keypoints))
    return sorted(found, key=lambda arrival: (arrival[0], arrival[1].camera))


@dataclass(frozen=True, slots=True, eq=False)
class SetRecord:
    """One published set.

    Attributes:
        stamp_ns: of the bodies; now_ns: when it was taken.
        stamps_ns: of its frames, by camera.
        bodies: what was published.
        cpu_ms: process CPU time of fuse; peak_bytes: memory it took at most beyond what there was (0: not traced).
        cameras, measured: SceneResult's.
    """

    stamp_ns: int
    now_ns: int
    stamps_ns: Mapping[str, int]
    bodies: Bodies3D
    cpu_ms: float
    peak_bytes: int
    cameras: Mapping[str, CameraState]
    measured: MeasuredBodies | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedRun:
    """What the pipeline made of a scene.

    Attributes:
        world: the scene.
        sets: published, in order.
        drops: frames that were not used, by cause.
    """

    world: World
    sets: tuple[SetRecord, ...]
    drops: Mapping[str, int]


def run(
    world: World, config: NodeConfig | None = None, *, alone: Alone | None = None, charge: bool = False,
    memory: bool = False, limit: int | None = None, camera_poses: CameraPoses | None = None,
) -> SimulatedRun:
    """Play a scene through synchroniser and pipeline as the node does, in simulated time.

    Args:
        world: the scene.
        config: the node's settings; None for the defaults.
        alone: only this person's keypoints; None: everybody's.
        charge: a set occupies the worker for the time it takes here; else for none.
        memory: trace the memory of each set (slow: do not take times from it).
        limit: at most so many sets.
        camera_poses: of cameras that move, by their stamps; None: they stand.
    """
    config = config or NodeConfig()
    synchronizer: FrameSynchronizer[Keypoints2D] = FrameSynchronizer(world.given_rig.names, config.sync)
    with PosePipeline(world.given_rig, config.pipeline) as pipeline:
        worker = _Worker(pipeline, synchronizer, charge, memory, camera_poses)
        end_ns = 0
        for arrival_ns, seen in arrivals(world, alone):
            if limit is not None and len(worker.done) >= limit:
                break
            end_ns = arrival_ns
            worker.work_until(end_ns)
            synchronizer.add(seen.camera, seen.stamp_ns, seen, end_ns)
            if synchronizer.is_ready and worker.free_ns <= end_ns:
                worker.take(end_ns)
        worker.work_until(end_ns + NS_PER_S)
    drops: Counter[str] = Counter()
    for causes in synchronizer.counts.drops.values():
        drops.update({str(cause.value): count for cause, count in causes.items()})
    return SimulatedRun(world, tuple(worker.done), dict(drops))


@dataclass
class _Worker:
    """The thread that takes sets, in simulated time; the attributes are the arguments of ``run``."""

    pipeline: PosePipeline
    synchronizer: FrameSynchronizer[Keypoints2D]
    charge: bool
    memory: bool
    camera_poses: CameraPoses | None
    done: list[SetRecord] = field(default_factory=list)
    free_ns: int = 0

    def work_until(self, until_ns: int) -> None:
        """Take every set that closes, or waits for the worker, no later than ``until_ns``."""
        while True:
            deadline_ns = self.synchronizer.next_deadline_ns()
            if self.synchronizer.is_ready:
                wake_ns = self.free_ns
            elif deadline_ns is not None:
                wake_ns = max(self.free_ns, deadline_ns)
            else:
                return
            if wake_ns > until_ns:
                return
            if not self.take(wake_ns) and self.synchronizer.next_deadline_ns() == deadline_ns:
                return

    def take(self, now_ns: int) -> bool:
        """Take the set that is there and fuse it; return whether there was one."""
        found = self.synchronizer.take(now_ns)
        if found is None:
            return False
        record = self._fuse(found, now_ns)
        self.done.append(record)
        self.synchronizer.use_clocks(self.pipeline.clocks())
        self.free_ns = now_ns + (round(record.cpu_ms * 1e6) if self.charge else 0)
        return True

    def _fuse(self, found: StampedSet[Keypoints2D], now_ns: int) -> SetRecord:
        before = 0
        if self.memory:
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
        began_s = process_time()
        if self.camera_poses is None:
            result = self.pipeline.fuse(found.stamp_ns, found.payloads)
        else:
            clocks = self.pipeline.clocks()
            poses = self.camera_poses({name: clocks[name].common_ns(stamp) for name, stamp in found.stamps_ns.items()})
            placed = {name: seen for name, seen in found.payloads.items() if name in poses}
            result = self.pipeline.fuse(found.stamp_ns, placed, poses)
        cpu_ms = (process_time() - began_s) * 1e3
        peak = 0
        if self.memory:
            peak = tracemalloc.get_traced_memory()[1] - before
            tracemalloc.stop()
        return SetRecord(
            result.bodies.stamp_ns, now_ns, dict(found.stamps_ns), result.bodies, cpu_ms, peak,
            dict(result.scene.cameras), result.scene.measured,
        )
