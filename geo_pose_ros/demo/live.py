# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A running system of several processes: the node, a recorder, a viewer, and the player of the footage."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..bags.cameras import choose_cameras, rig_from_bag
from ..bags.import_videos import import_videos
from ..bags.read import BagReader
from ..errors import BagError
from ..rigs.files import read_calibration
from ..rigs.rig_file import dump_rig
from ..ros.io.middleware import large_data_environment
from ..types import CameraRig
from .footage import fetch_footage

# Where downloads are kept.
_CACHE = Path('.cache')
# Long enough for a cold start of four detectors on a slow machine.
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is played: a bag with its rig, image topics and first stamp."""

    bag: Path
    rig: CameraRig
    images: tuple[str, ...]
    start_ns: int

    def player(self, *options: str) -> list[str]:
        """Return the words that play it, with further options of `geo_pose play`."""
        infos = [f'/{camera}/camera_info' for camera in self.rig.names]
        return [
            *geo_pose('play'), str(self.bag), '--restamp', '--wait', str(_START_TIMEOUT_S),
            '--topics', *self.images, *infos, *options,
        ]


def prepare(out: Path, scene: str) -> Material:
    """Fetch the footage, import it into ``out`` unless it is there, and write its rig for the node.

    Raises:
        BagError: if the footage cannot be fetched or imported.
    """
    out.mkdir(parents=True, exist_ok=True)
    print(f'footage: Pose2Sim {scene} (BSD-3-Clause)')
    footage = fetch_footage(_CACHE, scene)
    bag = out / 'footage'
    if not bag.exists():
        print(f'import into {bag}')
        import_videos(footage.videos, read_calibration(footage.calibration), bag)
    with BagReader(bag) as reader:
        cameras = choose_cameras(reader)
        rig = rig_from_bag(reader, cameras)
        start_ns = reader.start_ns
    (out / 'rig.yaml').write_text(dump_rig(rig))
    return Material(bag, rig, tuple(topics.image for topics in cameras.values()), start_ns)


def geo_pose(command: str) -> list[str]:
    """Return the words that run a command of this program with this Python."""
    return [sys.executable, '-m', 'geo_pose_ros.cli', command]


class LiveSystem:
    """The processes of one run, in a ROS domain of their own; each writes a log below ``out``/logs."""

    def __init__(self, out: Path) -> None:
        self._out, self._logs = out, out / 'logs'
        self._logs.mkdir(parents=True, exist_ok=True)
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {**os.environ, **large_data_environment(os.environ), 'PYTHONUNBUFFERED': '1'}
        self._environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        # The run neither hears nor disturbs other ROS nodes of the network.
        self._environment.setdefault('ROS_DOMAIN_ID', str(random.SystemRandom().randrange(1, 100)))

    @contextlib.contextmanager
    def running(self, name: str, words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """Run a part, and end it as a service manager does: what a shell starts in the background ignores SIGINT."""
        with self.log(name).open('w') as log:
            process = subprocess.Popen(words, env=self._environment, stdout=log, stderr=subprocess.STDOUT)
        self._parts[name] = process
        try:
            yield process
        finally:
            del self._parts[name]
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def node(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Run pose_node with the rig that ``prepare`` wrote."""
        rig = (self._out / 'rig.yaml').resolve()
        return self.running('pose_node', [*geo_pose('node'), '--ros-args', '-p', f'rig:={rig}'])

    def recorder(self, bag: str, pattern: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Record the topics whose whole name matches ``pattern`` into ``out``/``bag``."""
        words = [*geo_pose('record'), '--out', str(self._out / bag), '--overwrite', '--regex', pattern]
        return self.running(f'record_{bag}', words)

    def finish(self, name: str, words: list[str]) -> None:
        """Run a command, with a log ``name``, to its end while all parts run; it prints where this program does.

        Raises:
            BagError: if it fails or a part ends before it; names which, and its log.
        """
        sys.stdout.flush()
        with self.log(name).open('w') as log:
            process = subprocess.Popen(words, env=self._environment, stderr=log)
        while process.poll() is None:
            for part, running in self._parts.items():
                if running.poll() is not None:
                    process.terminate()
                    raise BagError(f'{part} ended with status {running.returncode}: {self.last_line(part)}')
            time.sleep(0.1)
        if process.returncode != 0:
            raise BagError(f'{name} ended with status {process.returncode}: {self.last_line(name)}')

    def wait_for_line(self, name: str, words: str, timeout_s: float) -> str:
        """Return the first line with ``words`` in the log of a running part; raise BagError if none comes."""
        ends_s = time.monotonic() + timeout_s
        while self._parts[name].poll() is None and time.monotonic() < ends_s:
            for line in self.log(name).read_text().splitlines():
                if words in line:
                    return line
            time.sleep(0.1)
        raise BagError(f'{name} did not start: {self.last_line(name)}')

    def log(self, name: str) -> Path:
        """Return the file that holds what a part said."""
        return self._logs / f'{name}.log'

    def last_line(self, name: str) -> str:
        """Return the end of a log, for a message."""
        lines = self.log(name).read_text().strip().splitlines()
        return f'{lines[-1] if lines else "no output"} (all of it in {self.log(name)})'
