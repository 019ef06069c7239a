# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Many bags at once: each processed on its own, here or on a cluster; what is done is not done again.

Beside each result `NAME` lies `NAME.json`, its summary, written last: a result without one is not complete. A bag that
fails, or takes its process down, costs only itself.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Protocol, TypeVar

from ..errors import BagError, ConfigError, GeoPoseError, needing
from ..rigs.rig_file import dump_rig
from ..types import CameraRig
from .process import ProcessConfig, process_bag

_LOG = logging.getLogger(__name__)


class FleetJob(Protocol):
    """What is to be made of one bag; picklable."""

    @property
    def bag(self) -> Path:
        """The bag."""

    @property
    def out(self) -> Path:
        """The result, or what its name begins with."""

    def done(self) -> Outcome | None:
        """Return the outcome of a result that is there, complete and made from the same; else None."""

    def run(self) -> Outcome:
        """Make the result; what cannot be made is an outcome, not an exception."""


AnyJob = TypeVar('AnyJob', bound=FleetJob)


@dataclass(frozen=True, slots=True)
class Job:
    """One bag to process: the arguments of process_bag, and what identifies the result."""

    bag: Path
    out: Path
    config: ProcessConfig
    rig: CameraRig | None
    storage: str

    @property
    def summary(self) -> Path:
        """Where the summary of the result lies."""
        return self.out.with_name(f'{self.out.name}.json')

    def fingerprint(self) -> str:
        """Return the sha256 of all that the result depends on but the program: bag (size, time), settings, rig."""
        rig = '' if self.rig is None else dump_rig(self.rig)
        how = bag_state(self.bag), dataclasses.asdict(self.config), rig, self.storage
        return hashlib.sha256(repr(how).encode()).hexdigest()

    def done(self) -> Outcome | None:
        """Return the outcome of a result that is complete and was made from the same; else None."""
        return Outcome.read(self.summary, self.fingerprint)

    def run(self) -> Outcome:
        """Process the bag, and write the summary."""
        began = perf_counter()
        outcome = Outcome(str(self.bag), str(self.out))
        try:
            outcome = replace(outcome, fingerprint=self.fingerprint())
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.summary.unlink(missing_ok=True)
            done = process_bag(
                self.bag, self.out, config=self.config, rig=self.rig, storage=self.storage,
                # Without its summary what lies there is no result.
                overwrite=True,
            )
        except (GeoPoseError, OSError) as error:
            return replace(outcome, error=str(error), seconds=perf_counter() - began)
        outcome = replace(
            outcome, sets=done.sets, bodies=done.bodies, seconds=perf_counter() - began, reprojection_px=done.median_px
        )
        outcome.write(self.summary)
        return outcome


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one bag; ``error`` is '' if it was processed.

    Attributes:
        bag, out: paths.
        error: why it failed.
        sets, bodies: how many, see ProcessSummary.
        reprojection_px: median, NaN if nothing was reprojected.
        seconds: that it took.
        fingerprint: of the job.
        headline: of the verdict; '' where none was made.
    """

    bag: str
    out: str
    error: str = ''
    sets: int = 0
    bodies: int = 0
    reprojection_px: float = float('nan')
    seconds: float = 0.0
    fingerprint: str = ''
    headline: str = ''

    @classmethod
    def read(cls, path: Path, fingerprint: Callable[[], str]) -> Outcome | None:
        """Return what ``write`` left of a job that was done from the same, as its ``fingerprint`` says; else None."""
        try:
            found = json.loads(path.read_text(encoding='utf-8'))
            if found.get('reprojection_px') is None:
                found['reprojection_px'] = float('nan')
            outcome = cls(**found)
            return outcome if not outcome.error and outcome.fingerprint == fingerprint() else None
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all; NaN is null."""
        partial_file = path.with_suffix('.partial')
        partial_file.write_text(_as_json(self.fields()), encoding='utf-8')
        partial_file.replace(path)

    def fields(self) -> dict[str, str | int | float | None]:
        """Return what JSON holds of it: NaN is None."""
        return {name: None if value != value else value for name, value in dataclasses.asdict(self).items()}


def _as_json(tree: object) -> str:
    return json.dumps(tree, indent=1, allow_nan=False) + '\n'


def bag_state(bag: Path) -> list[tuple[str, int, int]]:
    """Return name, size and time of each of a bag's files: what tells whether it has changed."""
    files = sorted(bag.iterdir()) if bag.is_dir() else [bag]
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def find_bags(patterns: Sequence[str]) -> list[Path]:
    """Return the bags that paths and glob patterns name, sorted, each once.

    Raises:
        BagError: if a pattern names none.
    """
    found: set[Path] = set()
    for pattern in patterns:
        # A pattern may begin at the root, which Path.glob does not take.
        found_names = glob.glob(pattern) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
        matches = [Path(name) for name in found_names]
        if not matches:
            raise BagError(f"No bag matches '{pattern}'; give paths of bags, or a pattern as 'bags/*.mcap' in quotes.")
        found.update(matches)
    return sorted(found)


def jobs_for(bags: Sequence[Path], out: Path, make: Callable[[Path, Path], AnyJob]) -> list[AnyJob]:
    """Return a job per bag, whose result is named after it in the folder ``out``; ``make`` adds the rest.

    Raises:
        ConfigError: if two bags have the same name.
    """
    twice = sorted(name for name, count in Counter(bag.stem for bag in bags).items() if count > 1)
    if twice:
        raise ConfigError(f'Several bags are called {", ".join(twice)}; one result would replace another: rename them.')
    return [make(bag, out / bag.stem) for bag in bags]


def process_jobs(jobs: Sequence[FleetJob], *, workers: int = 0, scheduler: str = '') -> Iterator[Outcome]:
    """Process the jobs that are not done yet, and yield what became of each as it ends; those done come first.

    Args:
        jobs: see jobs_for.
        workers: processes on this machine; 0: one per core.
        scheduler: address of a Dask scheduler whose workers see the same paths; '' for this machine.

    Raises:
        ConfigError: if Dask is asked for and missing.
        BagError: if the scheduler does not answer.
    """
    waiting = []
    for job in jobs:
        done = job.done()
        if done is None:
            waiting.append(job)
        else:
            yield done
    if scheduler:
        yield from _on_cluster(waiting, scheduler)
    elif waiting:
        yield from _here(waiting, workers or os.cpu_count() or 1)


def run_job(job: FleetJob) -> Outcome:
    """Do one job; what each process, or worker of a cluster, is sent."""
    return job.run()


def _here(jobs: Sequence[FleetJob], workers: int) -> Iterator[Outcome]:
    pool = partial(ProcessPoolExecutor, mp_context=get_context('spawn'), initializer=_leave_with_parent)
    suspects: list[FleetJob] = []
    with pool(min(workers, len(jobs))) as executor:
        futures: dict[Future[Outcome], FleetJob] = {executor.submit(run_job, job): job for job in jobs}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                # One of them took its process down, and the pool all others with it.
                suspects.append(futures[future])
    for job in suspects:
        with pool(1) as executor:
            try:
                yield executor.submit(run_job, job).result()
            except BrokenProcessPool:
                yield Outcome(str(job.bag), str(job.out), 'the process that worked on it died (out of memory?)')


def _leave_with_parent() -> None:
    """End this process when the one that started it is killed: the next call would work on the same bag beside it."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, name='leave_with_parent', daemon=True).start()


def _on_cluster(jobs: Sequence[FleetJob], scheduler: str) -> Iterator[Outcome]:
    with needing('distributed', '--scheduler'):
        from distributed import Client
        from distributed import as_completed as as_completed_on_cluster
    try:
        client = Client(scheduler, timeout='10s')
    except OSError as error:
        raise BagError(f"Dask scheduler '{scheduler}' does not answer ({error}); start it, or correct it.") from error
    with client:
        if not client.scheduler_info()['workers']:
            _LOG.warning("Dask scheduler '%s' has no workers; waiting for some: dask worker %s.", scheduler, scheduler)
        # Pure: the same job is the same work; failures of workers are tried again by Dask, and then reported.
        futures = {client.submit(run_job, job, pure=False): job for job in jobs}
        for future in as_completed_on_cluster(list(futures)):
            if future.status == 'error':
                job = futures[future]
                yield Outcome(str(job.bag), str(job.out), f'its worker failed: {future.exception()}')
            else:
                yield future.result()


def summary_table(outcomes: Sequence[Outcome]) -> str:
    """Return one line per bag, and a last one for all."""
    width = max([len(Path(outcome.bag).name) for outcome in outcomes] + [3])
    lines = [f'{"bag":<{width}}  {"sets":>7} {"bodies":>7} {"px":>6} {"s":>7}  ']
    for outcome in sorted(outcomes, key=lambda one: one.bag):
        numbers = f'{outcome.sets:>7} {outcome.bodies:>7} {outcome.reprojection_px:>6.1f} {outcome.seconds:>7.1f}'
        lines.append(f'{Path(outcome.bag).name:<{width}}  {numbers}  {outcome.error}'.rstrip())
    failed = sum(bool(outcome.error) for outcome in outcomes)
    lines.append(
        f'{len(outcomes)} bags, {failed} failed, {sum(o.sets for o in outcomes)} sets, '
        f'{sum(o.bodies for o in outcomes)} bodies'
    )
    return '\n'.join(lines)


def process_fleet(jobs: Sequence[FleetJob], out: Path, *, workers: int, scheduler: str = '') -> list[Outcome]:
    """Process the jobs, print each as it ends, and write fleet.json into ``out``; return what became of each."""
    outcomes: list[Outcome] = []
    for outcome in process_jobs(jobs, workers=workers, scheduler=scheduler):
        outcomes.append(outcome)
        state = f'failed: {outcome.error}' if outcome.error else f'{outcome.sets} sets, {outcome.bodies} bodies'
        print(f'[{len(outcomes)}/{len(jobs)}] {outcome.bag}: {state}', flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'fleet.json').write_text(_as_json([outcome.fields() for outcome in outcomes]), encoding='utf-8')
    print(summary_table(outcomes), flush=True)
    return outcomes
