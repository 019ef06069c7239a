# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Recorded bags into a store to train from: a job per bag; what is there is not made again."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from time import perf_counter

import numpy as np

from geo_pose_ros.bags.fleet import Outcome, bag_state
from geo_pose_ros.errors import BagError, GeoPoseError
from geo_pose_ros.geometry.triangulation import reprojection_residuals
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.types import CameraRig

from ...labels.triangulation import refined_labels
from ..bag import load_people
from ..recording import PersonRecording
from .shards import SUFFIX, StoreError, StoreSettings, read_shard, write_shard

# Refined joints of less weight do not count.
_SURE = 0.2


@dataclass(frozen=True, slots=True)
class StoreJob:
    """One bag to store: the arguments of load_people, and how it is written.

    ``out`` is the first shard but for its suffix.
    """

    bag: Path
    out: Path
    settings: StoreSettings
    rig: CameraRig | None
    cameras: tuple[str, ...]
    skeleton: str

    def shard(self, person: int = 0) -> Path:
        """Return where the shard of a person lies, counted from 0: BAG.parquet, BAG.person2.parquet ..."""
        return self.out.with_name(f'{self.out.name}.person{person + 1}{SUFFIX}' if person else self.out.name + SUFFIX)

    def fingerprint(self) -> str:
        """Return the sha256 of all that the shard depends on but the program."""
        rig = '' if self.rig is None else dump_rig(self.rig)
        how = bag_state(self.bag), dataclasses.asdict(self.settings), rig, self.cameras, self.skeleton
        return hashlib.sha256(repr(how).encode()).hexdigest()

    def done(self) -> Outcome | None:
        """Return the outcome of shards that are whole and were made from the same; else None."""
        try:
            made_from = dict(read_shard(self.shard()).made_from)
            for person in range(1, made_from.pop('people')):
                read_shard(self.shard(person))
            outcome = Outcome(**made_from)
            return outcome if outcome.fingerprint == self.fingerprint() else None
        except (StoreError, OSError, TypeError, KeyError):
            return None

    def run(self) -> Outcome:
        """Write the shards; ``bodies`` counts frames with a joint of enough weight."""
        began = perf_counter()
        outcome = Outcome(str(self.bag), str(self.shard()))
        try:
            people = load_people(self.bag, cameras=self.cameras, skeleton=self.skeleton, rig=self.rig)
            people = [replace(recording, refined=refined_labels(recording)) for recording in people]
            bodies, reprojection_px = _quality(people)
            if not bodies:
                raise BagError(
                    f"Bag '{self.bag}': nobody was seen by two cameras at once; leave it out, or look at its "
                    'calibration with geo_pose report.'
                )
            outcome = replace(
                outcome, sets=len(people[0]), bodies=bodies, reprojection_px=reprojection_px,
                fingerprint=self.fingerprint(), seconds=perf_counter() - began,
            )
            for former in self.out.parent.glob(f'{escape(self.out.name)}.person*{SUFFIX}'):
                former.unlink()
            made_from = {'people': len(people), **dataclasses.asdict(outcome)}
            # The first one last: where it is, the others are.
            for person, recording in reversed(list(enumerate(people))):
                write_shard(self.shard(person), recording, self.settings, made_from)
        except (GeoPoseError, OSError) as error:
            return replace(outcome, error=str(error), seconds=perf_counter() - began)
        return outcome


def _quality(people: list[PersonRecording]) -> tuple[int, float]:
    """Return the number of frames with a joint of enough weight, and the median residual, px, of such joints."""
    bodies, distances = 0, [np.zeros(0)]
    for recording in people:
        xyz, weight = refined_labels(recording)
        sure = weight > _SURE
        bodies += int(sure.any(1).sum())
        rays = np.moveaxis(recording.rays(), 1, 0)[:, sure]
        distances.append(reprojection_residuals(recording.cam_from_world, recording.focal_px, rays, xyz[sure]).ravel())
    every = np.concatenate(distances)
    known = every[np.isfinite(every)]
    return bodies, float(np.median(known)) if len(known) else float('nan')
