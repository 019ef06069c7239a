"""`geo_pose check`: what this installation has and lacks, and how to get it.

Imports nothing but the standard library before it runs, so that it runs where everything is missing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

_PYTHONS = ((3, 10), (3, 14))
_APT = 'Run: sudo apt-get install -y {}'
_ROBOT = 'Run tools/install_robot.sh, and activate its environment (. venv/bin/activate)'
_ROS = 'Run: sudo apt-get install -y ros-$ROS_DISTRO-{}, and source ROS 2'


@dataclass(frozen=True, slots=True)
class Need:
    """A Python module that is imported at run time.

    Attributes:
        module: its name.
        purpose: what does not work without it.
        remedy: how to get it.
        optional: without it, something else takes its place, as ``purpose`` says.
    """

    module: str
    purpose: str
    remedy: str
    optional: bool = False


NEEDS = (
    Need('numpy', 'everything', _APT.format('python3-numpy')),
    Need('scipy', 'fusion', _APT.format('python3-scipy')),
    Need('cv2', 'images', _APT.format('python3-opencv')),
    Need('yaml', 'rig and parameter files', _APT.format('python3-yaml')),
    Need('onnxruntime', 'detector and lifter', _ROBOT),
    Need('rosbags', 'import, process, play, record, info', _ROBOT),
    Need('rclpy', 'pose_node, play, record', 'Source ROS 2: . /opt/ros/$ROS_DISTRO/setup.bash'),
    Need('sensor_msgs.msg', 'pose_node', _ROS.format('sensor-msgs')),
    Need('visualization_msgs.msg', 'pose_node', _ROS.format('visualization-msgs')),
    Need('diagnostic_msgs.msg', 'pose_node', _ROS.format('diagnostic-msgs')),
    Need('tqdm', 'progress of process and import', _APT.format('python3-tqdm')),
    Need('matplotlib', 'figures of demo and reports', _APT.format('python3-matplotlib')),
    Need('tf2_msgs.msg', 'without it a rig file is needed', _ROS.format('tf2-msgs'), optional=True),
    Need('std_srvs.srv', 'without it no service ~/calibrate', _ROS.format('std-srvs'), optional=True),
    Need('cv_bridge', 'without it our own table converts raw pictures', _ROS.format('cv-bridge'), optional=True),
)
# Built for what ROS's own binaries are built for, so that they must not be replaced by pip's.
_OF_THE_SYSTEM = ('numpy', 'cv2')


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one need.

    Attributes:
        need: the need.
        problem: why it is not met, '' if it is.
        version, place: of the module, '' where unknown.
    """

    need: Need
    problem: str
    version: str = ''
    place: str = ''

    @property
    def fatal(self) -> bool:
        """Whether the package does not work like this."""
        return bool(self.problem) and not self.need.optional

    def __str__(self) -> str:
        if not self.problem:
            return f'ok       {self.need.module} {self.version}  {self.place}'.rstrip()
        word = 'absent ' if self.need.optional else 'MISSING'
        return f'{word}  {self.need.module}: {self.problem}; {self.need.purpose}. {self.need.remedy}.'


def look(need: Need, environment: Mapping[str, str], prefix: str = sys.prefix, base: str = sys.base_prefix) -> Finding:
    """Import what ``need`` names and say what came of it.

    Args:
        need: the need.
        environment: environment variables; ROS_DISTRO says that ROS comes from apt.
        prefix, base: of this Python and of the one its virtual environment was made from.
    """
    try:
        module: Any = import_module(need.module)
    except Exception as error:  # noqa: BLE001 - a broken binary raises anything; it becomes the finding
        return Finding(need, f'{type(error).__name__}: {" ".join(str(error).split())}')
    place = str(Path(module.__file__).parent) if getattr(module, '__file__', None) else ''
    version = str(getattr(module, '__version__', ''))
    hidden = prefix != base and place.startswith(prefix + os.sep) and bool(environment.get('ROS_DISTRO'))
    if need.module in _OF_THE_SYSTEM and hidden:
        remedy = f'pip uninstall it there, or make the environment anew. ({need.remedy})'
        return Finding(
            Need(need.module, "ROS's binaries are built for apt's", remedy),
            f'{version} in {place} hides that of apt', version, place,
        )
    return Finding(need, '', version, place)


def python_problem(version: tuple[int, int]) -> str:
    """Return why this Python does not fit, '' if it does."""
    low, high = _PYTHONS
    if low <= version <= high:
        return ''
    return f'Python {version[0]}.{version[1]}; expected {low[0]}.{low[1]} to {high[0]}.{high[1]}'
