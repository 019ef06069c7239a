# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A new user's way, measured: clone, install, two videos of one's own, seen in 3D. Minutes per command.

    make user-path      ->  a table, and out/bench/user_path.json

The commands are the README's, run by a shell in a fresh clone in a folder of its own, with an environment of its own
and pip's cache as it is. The videos are two of the demo's (downloaded once, as `make demo` does); the last command,
which serves until it is stopped, ends when the page is there. Needs the network.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, answers, free_port, write_json
from geo_pose_ros.demo.footage import fetch_footage
from geo_pose_ros.rigs.files import read_calibration, write_calibration
from geo_pose_ros.types import CameraRig

OUT = ROOT / 'out' / 'bench' / 'user_path.json'
SERVE_S = 120.0


def readme_commands() -> list[str]:
    """Return the commands of the README's section on one's own recordings, up to the viewer."""
    section = (ROOT / 'README.md').read_text().split('## With your own recordings')[1]
    commands = []
    for body in re.findall(r'^```sh[^\n]*\n(.*?)^```', section, re.DOTALL | re.MULTILINE):
        for line in body.splitlines():
            commands.append(line)
            if line.startswith('geo_pose view'):
                return commands
    raise ValueError('README.md: the section on one\'s own recordings does not end with geo_pose view.')


def material(folder: Path) -> None:
    """Put two of the demo's videos and their calibration into ``folder``, named as the README's."""
    footage = fetch_footage(ROOT / '.cache')
    rig = read_calibration(footage.calibration)
    cameras = []
    for number, camera in enumerate(rig.cameras[:2]):
        [video] = [video for video in footage.videos if video.stem == camera.name]
        shutil.copy(video, folder / f'cam{number}.mp4')
        cameras.append(replace(camera, name=f'cam{number}'))
    write_calibration(folder / 'calibration.toml', CameraRig(tuple(cameras)))


def script(commands: list[str], videos: Path, port: int) -> str:
    """Return the commands as one shell's, each followed by the time."""
    *steps, view = (command.replace('<this repository>', str(ROOT)) for command in commands)
    stamp = 'date +@%s.%N'
    # The videos are there as soon as the clone is.
    steps[0] += f' && cp {videos}/* .'
    lines = [stamp, *(line for step in steps for line in (f'{{ {step}; }} || exit 1', stamp))]
    return '\n'.join([*lines, f'exec {view} --port {port}'])


def walk(folder: Path) -> list[dict[str, Any]]:
    """Run the commands in ``folder``; return each with its minutes."""
    commands = readme_commands()
    videos = folder / 'videos'
    videos.mkdir()
    material(videos)
    environment = {name: value for name, value in os.environ.items() if name not in ('VIRTUAL_ENV', 'PYTHONPATH')}
    port = free_port()
    with subprocess.Popen(['bash', '-c', script(commands, videos, port)], cwd=folder, env=environment,
                          stdout=subprocess.PIPE, text=True) as shell:
        try:
            times = stamps(shell.stdout or (), len(commands))
            if len(times) < len(commands):
                raise RuntimeError(f'{commands[max(0, len(times) - 1)]}: failed; see what it said above.')
            ends_s = time.monotonic() + SERVE_S
            while not answers(port):
                if time.monotonic() > ends_s or shell.poll() is not None:
                    raise RuntimeError(f'{commands[-1]}: no page.')
                time.sleep(0.05)
            times.append(time.time())
        finally:
            shell.send_signal(signal.SIGINT)
    return [
        {'command': command, 'minutes': round((after - before) / 60.0, 2)}
        for command, (before, after) in zip(commands, pairwise(times), strict=True)
    ]


def stamps(lines: Iterable[str], count: int) -> list[float]:
    """Return the first ``count`` times among what the shell says, and show the rest."""
    found: list[float] = []
    for line in lines:
        if line.startswith('@'):
            found.append(float(line[1:]))
            if len(found) == count:
                break
        else:
            print(line, end='', file=sys.stderr)
    return found


def main() -> None:
    """Walk, print and write out/bench/user_path.json."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix='geo_pose_user_') as folder:
        steps = walk(Path(folder))
    result = {
        'commands': len(steps), 'minutes': round(sum(step['minutes'] for step in steps), 2), 'steps': steps,
        'cores': os.cpu_count(), 'load_average_before': round(load, 1), 'videos': 'two of 100 images, 1080 x 1920',
    }
    write_json(OUT, result)
    for step in steps:
        print(f'{step["minutes"]:6.2f} min  {step["command"]}')
    print(f'{result["minutes"]:6.2f} min  in all, {len(steps)} commands')


if __name__ == '__main__':
    main()
