"""Each check of the machine, shown what is well and what is not."""

from pathlib import Path

import pytest

from geo_pose_ros import cli
from geo_pose_ros.doctor import machine
from geo_pose_ros.findings import Severity


def worst(found):
    found = list(found)
    assert all(diagnosis.what for diagnosis in found)
    # Whatever is wrong has a remedy.
    assert all(diagnosis.remedy for diagnosis in found if diagnosis.health)
    return max((diagnosis.health for diagnosis in found), default=Severity.OK)


GIB, MIB = 2**30, 2**20


@pytest.mark.parametrize(
    ('found', 'health'),
    [
        (lambda: machine.check_python((3, 11)), Severity.OK),
        (lambda: machine.check_python((3, 9)), Severity.ERROR),
        (lambda: machine.check_python((3, 15)), Severity.ERROR),
        (lambda: machine.check_packages(lambda name: True), Severity.OK),
        (lambda: machine.check_packages(lambda name: name != 'rosbags'), Severity.ERROR),
        # What is optional is said, not complained of.
        (lambda: machine.check_packages(lambda name: name not in ('torch', 'viser', 'rclpy')), Severity.OK),
        (lambda: machine.check_processor(4, ''), Severity.OK),
        (lambda: machine.check_processor(1, ''), Severity.WARNING),
        (lambda: machine.check_processor(4, '1'), Severity.OK),
        (lambda: machine.check_processor(4, '8'), Severity.WARNING),
        (lambda: machine.check_memory('MemTotal: 8 kB\nMemAvailable:    8388608 kB\n'), Severity.OK),
        (lambda: machine.check_memory('MemAvailable:    524288 kB\n'), Severity.WARNING),
        (lambda: machine.check_memory(''), Severity.OK),
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
def test_checks(found, health):
    assert worst(found()) == health


def test_what_it_says_names_what_it_saw():
    [said] = machine.check_sockets(212_992)
    assert said.what.startswith('sockets may buffer 0.2 MiB') and 'sysctl -w net.core.rmem_max' in said.remedy
    said = [d.what for d in machine.check_packages(lambda name: name != 'rclpy')]
    assert 'ros-rclpy is not installed; only live topics needs it' in said
    first = next(machine.check_middleware({'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp', 'ROS_LOCALHOST_ONLY': '1'}, bool))
    assert first.what == 'middleware rmw_zenoh_cpp, domain 0, discovery LOCALHOST'


def test_this_machine(capsys):
    assert machine.clock_state() is None or 0 <= machine.clock_state() <= 5
    status = cli.main(['doctor'])
    out = capsys.readouterr().out
    assert status in (0, 1, 2) and out.startswith('machine\n') and 'numpy' in out and 'Python 3.' in out


def test_the_status_is_the_worst_and_quiet_shows_only_that(capsys, monkeypatch, tmp_path):
    from geo_pose_ros.commands import doctor
    from geo_pose_ros.rigs.rig_file import dump_rig

    from ..scenes import ring_rig

    monkeypatch.setattr(doctor, 'check_machine', lambda: machine.check_sockets(1))
    assert cli.main(['doctor', '--quiet']) == 1
    out = capsys.readouterr().out
    assert out.count('\n') == 3 and 'warn ' in out and 'sysctl' in out
    monkeypatch.setattr(doctor, 'check_machine', lambda: machine.check_python((3, 11)))
    (tmp_path / 'rig.yaml').write_text(dump_rig(ring_rig(4)))
    assert cli.main(['doctor', '--quiet', '--rig', str(tmp_path / 'rig.yaml')]) == 0
    assert capsys.readouterr().out == f'machine\n  ok\nrig {tmp_path / "rig.yaml"}\n  ok\n'
    monkeypatch.setattr(doctor, 'check_machine', lambda: machine.check_python((2, 7)))
    assert cli.main(['doctor']) == 2
    assert 'ERROR Python 2.7' in capsys.readouterr().out
