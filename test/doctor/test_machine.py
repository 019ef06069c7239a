# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Each check of the machine, shown what is well and what is not."""

from pathlib import Path

import pytest

from geo_pose_ros import cli
from geo_pose_ros.commands.machine import doctor
from geo_pose_ros.doctor import machine
from geo_pose_ros.findings import Finding, Severity, worst
from geo_pose_ros.rigs.rig_file import dump_rig

from ..scenes import ring_rig

GIB, MIB = 2**30, 2**20


@pytest.mark.parametrize(
    ('check', 'severity'),
    [
        (lambda: machine.check_processor(4, ''), Severity.OK),
        (lambda: machine.check_processor(1, ''), Severity.WARNING),
        (lambda: machine.check_processor(4, '8'), Severity.WARNING),
        (lambda: machine.check_memory('MemTotal: 8 kB\nMemAvailable:    8388608 kB\n'), Severity.OK),
        (lambda: machine.check_memory('MemAvailable:    524288 kB\n'), Severity.WARNING),
        (lambda: machine.check_disk(100 * GIB, Path('/x')), Severity.OK),
        (lambda: machine.check_disk(GIB, Path('/x')), Severity.WARNING),
        (lambda: machine.check_sockets(8 * MIB), Severity.OK),
        (lambda: machine.check_sockets(212_992), Severity.WARNING),
        (lambda: machine.check_shared_memory(GIB), Severity.OK),
        (lambda: machine.check_shared_memory(MIB), Severity.WARNING),
        (lambda: machine.check_clock(None), Severity.OK),
        (lambda: machine.check_clock(0), Severity.OK),
        (lambda: machine.check_clock(5), Severity.WARNING),
        (lambda: machine.check_gpu(False, lambda name: False, ()), Severity.OK),
        (lambda: machine.check_gpu(True, lambda name: name == 'tensorrt', ()), Severity.OK),
        (lambda: machine.check_gpu(True, lambda name: False, ('CUDAExecutionProvider',)), Severity.OK),
        (lambda: machine.check_gpu(True, lambda name: False, ('CPUExecutionProvider',)), Severity.WARNING),
        (lambda: machine.check_middleware({}, lambda path: False), Severity.OK),
        (lambda: machine.check_middleware({'ROS_DOMAIN_ID': '200'}, lambda path: True), Severity.ERROR),
        (lambda: machine.check_middleware({'ROS_DOMAIN_ID': 'x'}, lambda path: True), Severity.ERROR),
        (lambda: machine.check_middleware({'FASTDDS_DEFAULT_PROFILES_FILE': '/gone'}, lambda _: False), Severity.ERROR),
        (lambda: machine.check_middleware({'CYCLONEDDS_URI': 'file:///there'}, lambda path: True), Severity.OK),
        (lambda: machine.check_middleware({'CYCLONEDDS_URI': '<CycloneDDS/>'}, lambda path: False), Severity.OK),
    ],
)
def test_checks(check, severity):
    found = list(check())
    assert worst(found) == severity
    # Whatever is wrong has a remedy.
    assert all(finding.what and (finding.remedy or not finding.severity) for finding in found)


def test_what_it_says_names_what_it_saw():
    [said] = machine.check_sockets(212_992)
    assert said.what.startswith('sockets may buffer 0.2 MiB') and 'sysctl -w net.core.rmem_max' in said.remedy
    first = next(machine.check_middleware({'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp', 'ROS_LOCALHOST_ONLY': '1'}, bool))
    assert first.what == 'middleware rmw_zenoh_cpp, domain 0, discovery LOCALHOST'


def test_this_machine(capsys):
    assert machine.clock_state() is None or 0 <= machine.clock_state() <= 5
    status = cli.main(['doctor'])
    out = capsys.readouterr().out
    assert status in (0, 1, 2) and out.startswith('installation\n  ok    Python 3.') and 'numpy' in out
    assert '\nmachine\n' in out


def test_the_status_is_the_worst_and_quiet_shows_only_that(capsys, monkeypatch, tmp_path):
    def show(*severities):
        made = [Finding(severity, 'seen', 'Do it.' if severity else '') for severity in severities]
        monkeypatch.setattr(doctor, 'check_machine', lambda: made)

    monkeypatch.setattr(doctor, 'check_installation', list)
    show(Severity.OK, Severity.WARNING)
    assert cli.main(['doctor', '--quiet']) == 1
    assert capsys.readouterr().out == 'installation\n  ok\nmachine\n  warn  seen\n        Do it.\n'
    show(Severity.OK)
    (tmp_path / 'rig.yaml').write_text(dump_rig(ring_rig(4)))
    assert cli.main(['doctor', '--quiet', '--rig', str(tmp_path / 'rig.yaml')]) == 0
    assert capsys.readouterr().out == f'installation\n  ok\nmachine\n  ok\nrig {tmp_path / "rig.yaml"}\n  ok\n'
    show(Severity.ERROR, Severity.WARNING)
    assert cli.main(['doctor']) == 2
    assert 'ERROR seen' in capsys.readouterr().out


def test_a_finding_in_words():
    assert Finding(Severity.OK, 'Fine.').in_words == 'Fine.'
    assert Finding(Severity.ERROR, 'It fails.', 'Do it.', 'rig').in_words == 'rig: It fails. Do it.'
    # Errors of this package name their camera themselves.
    assert Finding(Severity.ERROR, "Camera 'a': dark.", '', 'camera a').in_words == "Camera 'a': dark."
