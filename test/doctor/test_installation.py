# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What an installation lacks, as `geo_pose check` says it, and the script that installs on robots."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from geo_pose_ros import cli, compiled
from geo_pose_ros.doctor import installation
from geo_pose_ros.doctor.installation import NEEDS, Need, check_kernels, check_need, check_python
from geo_pose_ros.findings import Finding, Severity

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools' / 'install_robot.sh'


def need(module: str, missing: Severity = Severity.ERROR) -> Need:
    return Need(module, 'images', 'Install it.', missing)


def test_what_is_there_is_named_with_version_and_place() -> None:
    found = check_need(need('yaml'), {})
    assert found.severity == Severity.OK
    assert re.fullmatch(r'yaml \d\S+ \S+yaml', found.what)
    # torch is not loaded to see whether it is there.
    assert check_need(Need('numpy', 'everything', '', slow=True), {}).what == 'numpy'


@pytest.mark.parametrize(('cold', 'when'), [(True, 'now'), (False, 'before')], ids=['cold', 'warm'])
def test_the_compiled_fusion_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch, cold: bool, when: str) -> None:
    monkeypatch.setattr(compiled, 'prepare', lambda: cold)
    monkeypatch.setattr(compiled, 'cache_folders', lambda: [Path('/kept/here')])
    assert check_kernels() == Finding(Severity.OK, f'fusion: compiled {when}, kept in /kept/here')


def test_what_is_missing_or_broken_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check_need(need('no_such_thing'), {})
    assert found.severity == Severity.ERROR and found.remedy == 'Install it.'
    assert found.what == "no_such_thing: ModuleNotFoundError: No module named 'no_such_thing'; images"
    optional = check_need(need('no_such_thing', Severity.OK), {})
    assert (optional.severity, optional.what) == (Severity.OK, 'no no_such_thing: images')
    # A lab without ROS is no fault; a robot whose ROS lacks a part is.
    part = Need('no_such_thing', 'without it no pose_node', 'Source ROS 2.', Severity.WARNING, ros=True)
    assert check_need(part, {}) == Finding(Severity.OK, 'no no_such_thing: without it no pose_node')
    assert check_need(part, {'ROS_DISTRO': 'jazzy'}).severity == Severity.WARNING
    # A binary for another numpy raises what it likes.
    (tmp_path / 'broken_binary.py').write_text("raise RuntimeError('module compiled against\\n API 0xf')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    broken = check_need(need('broken_binary'), {})
    assert broken.what == 'broken_binary: RuntimeError: module compiled against API 0xf; images'


def test_a_numpy_that_hides_that_of_apt_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType('cv2')
    module.__file__, module.__version__ = '/ws/venv/lib/cv2/__init__.py', '4.14.0'
    monkeypatch.setitem(sys.modules, 'cv2', module)
    ros = {'ROS_DISTRO': 'jazzy'}
    hidden = check_need(need('cv2'), ros, '/ws/venv', '/usr')
    assert hidden.severity == Severity.ERROR
    assert hidden.what.startswith('cv2: 4.14.0 in /ws/venv/lib/cv2 hides that of apt')
    # Without ROS from apt, or from another place, it is as it should be.
    for fine in (check_need(need('cv2'), {}, '/ws/venv', '/usr'), check_need(need('cv2'), ros, '/home', '/usr')):
        assert fine.severity == Severity.OK


@pytest.mark.parametrize(('version', 'fits'), [((3, 9), False), ((3, 10), True), ((3, 14), True), ((3, 15), False)])
def test_pythons(version: tuple[int, int], fits: bool) -> None:
    assert (check_python(version).severity == Severity.OK) is fits


def test_the_command_fails_where_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, 'NEEDS', (need('yaml'), need('nothing_like_it', Severity.OK)))
    assert cli.main(['check']) == 0
    monkeypatch.setattr(installation, 'NEEDS', (need('yaml'), need('nothing_like_it', Severity.WARNING)))
    assert cli.main(['check']) == 1
    assert 'warn  nothing_like_it: ModuleNotFoundError' in capsys.readouterr().out


def test_it_needs_nothing_but_the_standard_library() -> None:
    done = subprocess.run(
        [sys.executable, '-S', '-m', 'geo_pose_ros.cli', 'check'], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert 'ERROR numpy: ' in done.stdout
    assert all(need.module in done.stdout for need in NEEDS)


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line, package in re.findall(r'^(([^#=\n]+)==.*)$', (ROOT / 'requirements' / name).read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(line)
    return found


def test_a_robot_gets_the_versions_that_are_tested() -> None:
    robot, runtime = pins('robot.txt'), pins('runtime.txt')
    assert {'onnxruntime', 'rosbags', 'tomli'} <= set(robot) & set(runtime)
    for package in set(robot) & set(runtime):
        assert robot[package] == runtime[package]
    # What ROS's binaries are built for stays apt's.
    assert not {'numpy', 'scipy', 'opencv-python-headless', 'PyYAML'} & set(robot)


def fake_python(folder: Path, lacking: str) -> str:
    """Return an interpreter to which the import of ``lacking`` fails, and the version, if it is 'version'."""
    script = folder / 'python'
    fails = {'version': '*version_info*', '': 'nothing'}.get(lacking, f'"import {lacking}"')
    answers = '[ "$1" = --version ] && echo Python 3.9'
    script.write_text(f'#!/bin/sh\ncase "$2" in {fails}) exit 1;; esac\n{answers}\nexit 0\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    ('lacking', 'words'),
    [
        ('version', 'is Python 3.9; it takes 3.10 to 3.14'),
        ('cv2', 'missing: python3-opencv ; run: sudo apt-get install -y python3-opencv'),
        ('ensurepip', 'sudo apt-get install -y python3-venv'),
        ('rclpy', 'cannot import rclpy; source ROS 2 first: . /opt/ros/$ROS_DISTRO/setup.bash'),
        ('', "does not see the system's packages; remove it, or name another place"),
    ],
)
def test_the_script_says_what_to_do(lacking: str, words: str, tmp_path: Path) -> None:
    venv = tmp_path / 'venv'
    if not lacking:
        (venv / 'bin').mkdir(parents=True)
        (venv / 'bin' / 'python3').symlink_to(sys.executable)
        (venv / 'pyvenv.cfg').write_text('include-system-site-packages = false\n')
    environment = {**os.environ, 'PYTHON': fake_python(tmp_path, lacking)}
    done = subprocess.run([str(SCRIPT), str(venv)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
