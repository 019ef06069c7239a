# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Many bags at once: what is done is not done again, and a bag that fails costs only itself."""


import dataclasses
import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from geo_pose_ros.bags import fleet
from geo_pose_ros.bags.fleet import Job, Outcome, find_bags, jobs_for, process_jobs, run_job
from geo_pose_ros.bags.process import ProcessConfig
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.commands import process
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.recordings import write_keypoints_bag

from ..scenes import keypoints, person, ring_rig

CONFIG = ProcessConfig(pipeline=PipelineConfig(lifter=LifterConfig(enabled=False)))


def write_keypoints(path, sets=4):
    rig = ring_rig(3)
    seen = [keypoints(rig, [person(0)], 1_000_000_000 + 33_000_000 * number) for number in range(sets)]
    write_keypoints_bag(path, rig, {name: [found[name] for found in seen] for name in rig.names})
    return path


@pytest.fixture
def bags(tmp_path):
    """Write two bags, and one that is none."""
    made = [write_keypoints(tmp_path / 'bags' / name) for name in ('first', 'second')]
    broken = tmp_path / 'bags' / 'third'
    broken.mkdir()
    (broken / 'metadata.yaml').write_text('no bag')
    return [*made, broken]


def make_job(bag, out):
    return Job(bag, out, CONFIG, None, 'mcap')


def test_patterns_and_paths_name_bags(bags, tmp_path):
    assert find_bags([str(tmp_path / 'bags' / '*'), str(bags[0])]) == bags
    with pytest.raises(BagError, match=r"No bag matches '.*nothing\*'"):
        find_bags([str(tmp_path / 'nothing*')])
    other = tmp_path / 'elsewhere' / 'first'
    with pytest.raises(ConfigError, match='Several bags are called first'):
        jobs_for([bags[0], other], tmp_path / 'out', make_job)


def test_what_is_done_is_not_done_again(bags, tmp_path, monkeypatch):
    jobs = jobs_for(bags[:2], tmp_path / 'out', make_job)
    first = [run_job(job) for job in jobs]
    assert not any(outcome.error for outcome in first)
    monkeypatch.setattr(fleet, '_here', lambda waiting, workers: pytest.fail(f'{waiting} again'))
    assert list(process_jobs(jobs)) == first
    done = []
    monkeypatch.setattr(fleet, '_here', lambda waiting, workers: done.extend(waiting) or iter(()))
    # Other settings, a bag that has changed, and a result without its summary are.
    other = dataclasses.replace(jobs[0], config=ProcessConfig())
    os.utime(next(bags[1].iterdir()), ns=(1, 1))
    assert list(process_jobs([other, jobs[1]])) == []
    assert done == [other, jobs[1]]
    jobs[0].summary.write_text('{')
    list(process_jobs(jobs[:1]))
    assert done[2:] == jobs[:1]


def _die(job):
    """Take the process down with the second bag."""
    if job.bag.name == 'second':
        os._exit(1)
    return run_job(job)


@pytest.mark.slow
def test_a_process_that_dies_costs_only_its_bag(bags, tmp_path, monkeypatch):
    monkeypatch.setattr(fleet, 'run_job', _die)
    outcomes = {o.bag: o for o in process_jobs(jobs_for(bags[:2], tmp_path / 'out', make_job), workers=2)}
    assert outcomes[str(bags[0])].sets == 4
    assert 'the process that worked on it died' in outcomes[str(bags[1])].error


def test_an_outcome_is_read_as_it_was_written(tmp_path):
    outcome = Outcome('/data/null_NaN', 'out', sets=3, fingerprint='f', headline='annulled')
    outcome.write(tmp_path / 'outcome.json')
    read = Outcome.read(tmp_path / 'outcome.json', lambda: 'f')
    assert (read.bag, read.headline, read.sets) == ('/data/null_NaN', 'annulled', 3) and np.isnan(read.reprojection_px)
    assert json.loads((tmp_path / 'outcome.json').read_text())['reprojection_px'] is None
    assert Outcome.read(tmp_path / 'outcome.json', lambda: 'other') is None


class FakeClient(nullcontext):
    """Dask's Client, at once and in this process."""

    def __init__(self, address, timeout):
        super().__init__(self)
        if 'nobody' in address:
            raise OSError('timed out')

    def scheduler_info(self):
        return {'workers': {}}

    def submit(self, function, job, pure):
        assert not pure
        if job.bag.name == 'second':
            return Mock(status='error', exception=lambda: KeyError('lost'))
        return Mock(status='finished', result=Mock(return_value=function(job)))


def test_a_cluster_gets_the_same_jobs(bags, tmp_path, monkeypatch, caplog):
    dask = SimpleNamespace(Client=FakeClient, as_completed=iter)
    monkeypatch.setitem(sys.modules, 'distributed', dask)
    jobs = jobs_for(bags[:2], tmp_path / 'out', make_job)
    outcomes = {o.bag: o for o in process_jobs(jobs, scheduler='tcp://somebody:8786')}
    assert outcomes[str(bags[0])].sets == 4
    assert outcomes[str(bags[1])].error == "its worker failed: 'lost'"
    assert "'tcp://somebody:8786' has no workers; waiting for some: dask worker tcp://somebody:8786." in caplog.text
    with pytest.raises(BagError, match=r"Dask scheduler 'tcp://nobody:1' does not answer \(timed out\)"):
        list(process_jobs(jobs[1:], scheduler='tcp://nobody:1'))
    monkeypatch.setitem(sys.modules, 'distributed', None)
    with pytest.raises(ConfigError, match='pip install distributed'):
        list(process_jobs(jobs[1:], scheduler='tcp://somebody:8786'))


@pytest.fixture
def cluster():
    """Run a Dask scheduler and two workers, processes of this machine; return the scheduler's address."""
    distributed = pytest.importorskip('distributed')
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host='127.0.0.1', dashboard_address=None
    ) as running:
        yield running.scheduler_address


def _results(outcomes):
    """Return what was made of each bag, whoever made it: outcomes but for paths and seconds, and what was written."""
    found = {}
    for outcome in outcomes:
        # A number that is none is not equal to itself.
        told = repr(dataclasses.replace(outcome, out='', seconds=0.0))
        messages = []
        if not outcome.error:
            with BagReader(Path(outcome.out)) as reader:
                messages = [
                    (m.topic, m.time_ns, m.raw) for m in reader.messages(reader.topics) if m.topic != '/diagnostics'
                ]
        found[outcome.bag] = told, messages
    return found


@pytest.mark.slow
def test_a_real_cluster_makes_what_this_machine_makes(bags, tmp_path, cluster):
    there = list(process_jobs(jobs_for(bags, tmp_path / 'there', make_job), scheduler=cluster))
    here = list(process_jobs(jobs_for(bags, tmp_path / 'here', make_job), workers=1))
    assert sorted(bool(outcome.error) for outcome in there) == [False, False, True]
    assert _results(there) == _results(here)
    # What the cluster made counts as done.
    assert not [job for job in jobs_for(bags[:2], tmp_path / 'there', make_job) if job.done() is None]


@pytest.mark.slow
def test_a_killed_call_is_taken_up_by_the_next(tmp_path):
    names = [f'bag{number}' for number in range(4)]
    for name in names:
        write_keypoints(tmp_path / 'bags' / name, sets=40)
    out = tmp_path / 'out'
    command = [
        sys.executable, '-m', 'geo_pose_ros.cli', 'process', str(tmp_path / 'bags' / '*'), '--out', str(out),
        '--workers', '1', '--set', 'pipeline.lifter.enabled=false',
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        # The first line names the detector.
        first.stdout.readline()
        # Told when the first one is done; the next are on their way.
        assert '40 sets' in first.stdout.readline()
        first.send_signal(signal.SIGKILL)
        # Its worker holds the pipe too, and ends with it: else this would never end.
        first.stdout.read()
    done = {name: (out / f'{name}.json').stat().st_mtime_ns for name in names if (out / f'{name}.json').exists()}
    assert 1 <= len(done) < len(names)
    second = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert second.stdout.splitlines()[-1] == '4 bags, 0 failed, 160 sets, 160 bodies'
    for name, written_ns in done.items():
        assert (out / f'{name}.json').stat().st_mtime_ns == written_ns
    for name in names:
        with BagReader(out / name) as reader:
            assert reader.topics['/pose_node/bodies'].count == 40


def test_the_command_takes_one_bag_or_many(bags, tmp_path, monkeypatch, capsys):
    parser = Parser()
    process.add_arguments(parser)

    def run(*words):
        arguments = parser.parse_args([*map(str, words), '--set', 'pipeline.lifter.enabled=false'])
        return process.run(arguments)

    assert run(bags[0], '--out', tmp_path / 'one') == 0
    assert '4 sets (' in capsys.readouterr().out
    monkeypatch.setattr(fleet, '_here', lambda jobs, workers: map(run_job, jobs) if workers == 2 else ())
    assert run(tmp_path / 'bags' / '*', '--out', tmp_path / 'many', '--workers', 2) == 2
    lines = capsys.readouterr().out.splitlines()[-5:]
    assert lines[0].split() == ['bag', 'sets', 'bodies', 'px', 's']
    assert lines[1].split()[:3] == ['first', '4', '4']
    assert lines[-1] == '3 bags, 1 failed, 8 sets, 8 bodies'
    outcomes = {outcome['bag']: outcome for outcome in json.loads((tmp_path / 'many' / 'fleet.json').read_text())}
    assert outcomes[str(bags[2])]['error'] and not (tmp_path / 'many' / 'third.json').exists()
    for bag in bags[:2]:
        assert (outcomes[str(bag)]['sets'], outcomes[str(bag)]['bodies']) == (4, 4)
        with BagReader(tmp_path / 'many' / bag.name) as reader:
            assert reader.topics['/pose_node/bodies'].count == 4
