# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A simulated scene through synchroniser and pipeline, as the node runs them, in simulated time.

Example::

    scenario = Scenario(cameras=4, people=3)
    world = build(scenario)                     # motion, rigs, every camera's keypoints as they arrive
    simulated = run(world)                      # through FrameSynchronizer and PosePipeline
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from time import process_time

import numpy as np

from ..arrays import FloatArray
from ..bags.sets import Stamped, synchronised
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
        cpu_ms: process CPU time of fuse.
        cameras, measured: SceneResult's.
    """

    stamp_ns: int
    now_ns: int
    stamps_ns: Mapping[str, int]
    bodies: Bodies3D
    cpu_ms: float
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
    world: World, config: NodeConfig | None = None, *, alone: Alone | None = None, limit: int | None = None,
    camera_poses: CameraPoses | None = None,
) -> SimulatedRun:
    """Play a scene through synchroniser and pipeline as the node does, in simulated time; a set takes none.

    Args:
        world: the scene.
        config: the node's settings; None for the defaults.
        alone: only this person's keypoints; None: everybody's.
        limit: at most so many sets.
        camera_poses: of cameras that move, by their stamps; None: they stand.
    """
    config = config or NodeConfig()
    synchronizer: FrameSynchronizer[Keypoints2D] = FrameSynchronizer(world.given_rig.names, config.sync)
    frames = (Stamped(seen.camera, seen.stamp_ns, arrival_ns, seen) for arrival_ns, seen in arrivals(world, alone))
    done = []
    with PosePipeline(world.given_rig, config.pipeline) as pipeline:
        for found in islice(synchronised(frames, synchronizer), limit):
            done.append(_fuse(pipeline, found, camera_poses))
            synchronizer.use_clocks(pipeline.clocks())
    drops: Counter[str] = Counter()
    for causes in synchronizer.counts.drops.values():
        drops.update({str(cause.value): count for cause, count in causes.items()})
    return SimulatedRun(world, tuple(done), dict(drops))


def _fuse(
    pipeline: PosePipeline, found: StampedSet[Keypoints2D], camera_poses: CameraPoses | None
) -> SetRecord:
    """Return what came of one set; the arguments are those of ``run``."""
    began_s = process_time()
    if camera_poses is None:
        result = pipeline.fuse(found.stamp_ns, found.payloads)
    else:
        clocks = pipeline.clocks()
        poses = camera_poses({name: clocks[name].common_ns(stamp) for name, stamp in found.stamps_ns.items()})
        placed = {name: seen for name, seen in found.payloads.items() if name in poses}
        result = pipeline.fuse(found.stamp_ns, placed, poses)
    cpu_ms = (process_time() - began_s) * 1e3
    return SetRecord(
        result.bodies.stamp_ns, found.ready_ns, dict(found.stamps_ns), result.bodies, cpu_ms,
        dict(result.scene.cameras), result.scene.measured,
    )
