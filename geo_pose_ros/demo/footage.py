# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The demo's footage: four calibrated cameras from the wheel of Pose2Sim (BSD-3-Clause).

Pagnon, Domalain, Reveret, "Pose2Sim: An open-source Python package for multiview markerless kinematics", JOSS 2022.
The wheel is downloaded by pip, checked, and unpacked; it is not installed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import BagError

_REQUIREMENT = 'pose2sim==0.10.49'
_WHEEL = 'pose2sim-0.10.49-py3-none-any.whl'
_SHA256 = '403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1'
# Our name of a scene -> the wheel's.
_SCENES: Mapping[str, str] = {'person': 'Demo_SinglePerson', 'people': 'Demo_MultiPerson'}


@dataclass(frozen=True, slots=True)
class Footage:
    """Videos named after their cameras, and the calibration file of all of them."""

    videos: tuple[Path, ...]
    calibration: Path


def fetch_footage(cache: Path, scene: str = 'person') -> Footage:
    """Return the footage of a scene, ours or the wheel's name, downloaded into ``cache`` if not there yet (51 MB).

    Raises:
        BagError: for an unknown scene, if the download fails, or if the file has another checksum.
    """
    folder_name = _SCENES.get(scene, scene)
    if folder_name not in _SCENES.values():
        raise BagError(f"No demo scene '{scene}'; there is: {', '.join(_SCENES)}.")
    folder = cache / _REQUIREMENT.replace('==', '-') / folder_name
    if not folder.is_dir():
        _unpack(_download(cache), folder_name, folder)
    videos = tuple(sorted((folder / 'videos').glob('*.mp4')))
    return Footage(videos, folder / 'calibration' / 'Calib.qca.txt')


def _download(cache: Path) -> Path:
    wheel = cache / _WHEEL
    if not wheel.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, '-m', 'pip', '--disable-pip-version-check', 'download', '--quiet', '--no-deps',
            # The wheel is data to us: any Python may fetch it, also one that the package itself does not run on.
            '--only-binary=:all:', '--python-version', '3.12', '--dest', str(cache), _REQUIREMENT,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ['no reason given'])[-1]
            raise BagError(
                f'The demo footage ({_REQUIREMENT}, 51 MB) could not be downloaded: {reason}. Check the network, or '
                f'put {_WHEEL} into {cache}.'
            )
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != _SHA256:
        raise BagError(f"'{wheel}' has sha256 {found}, expected {_SHA256}; delete it and run the demo again.")
    return wheel


def _unpack(wheel: Path, scene: str, folder: Path) -> None:
    """Extract one scene; it appears in ``folder`` whole or not at all."""
    prefix = f'Pose2Sim/{scene}/'
    folder.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        wanted = [
            name for name in archive.namelist()
            if name.startswith((f'{prefix}videos/', f'{prefix}calibration/Calib')) and not name.endswith('/')
        ]
        archive.extractall(scratch, wanted)
        (Path(scratch) / prefix).rename(folder)
