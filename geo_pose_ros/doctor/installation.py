# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether this installation has what the package imports, and how to get what it lacks.

Imports nothing but the standard library before it runs, so that it runs where everything is missing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from ..findings import Finding, Severity, worst

_PYTHONS = ((3, 10), (3, 14))
_APT = 'sudo apt-get install -y {}'
_ROBOT = 'Run tools/install_robot.sh, and activate its environment: . venv/bin/activate'
_ROS = 'sudo apt-get install -y ros-$ROS_DISTRO-{}, and source ROS 2'
_SOURCE = 'Source ROS 2: . /opt/ros/$ROS_DISTRO/setup.bash'
_PIP = 'python3 -m pip install {}'


@dataclass(frozen=True, slots=True)
class Need:
    """A Python module that is imported at run time.

    Attributes:
        module: its name.
        purpose: what needs it.
        remedy: how to get it.
        missing: how bad it is to lack it. OK: something else takes its place, as ``purpose`` says, or few use it.
        slow: it takes seconds to load, so that it is only looked for.
        ros: part of ROS; to lack it is a fault only where ROS_DISTRO says that there is ROS.
    """

    module: str
    purpose: str
    remedy: str
    missing: Severity = Severity.ERROR
    slow: bool = False
    ros: bool = False


NEEDS = (
    Need('numpy', 'everything', _APT.format('python3-numpy')),
    Need('scipy', 'calibration and tracking', _APT.format('python3-scipy')),
    Need('numba', 'fusion', _APT.format('python3-numba')),
    Need('cv2', 'images', _APT.format('python3-opencv')),
    Need('PIL', 'compressed images', _APT.format('python3-pil')),
    Need('yaml', 'rig and parameter files', _APT.format('python3-yaml')),
    Need('tqdm', 'progress of process and import', _APT.format('python3-tqdm')),
    Need('onnxruntime', 'detector and lifter', _ROBOT),
    Need('rosbags', 'import, process, play, record, info', _ROBOT),
    Need('matplotlib', 'figures of demo and reports', _APT.format('python3-matplotlib'), Severity.WARNING),
    Need('jinja2', 'pages of reports', _APT.format('python3-jinja2'), Severity.WARNING),
    Need('rclpy', 'without it no pose_node, play and record', _SOURCE, Severity.WARNING, ros=True),
    *(
        Need(f'{name}_msgs.msg', 'without it no pose_node', _ROS.format(f'{name}-msgs'), Severity.WARNING, ros=True)
        for name in ('sensor', 'visualization', 'diagnostic')
    ),
    Need('tf2_msgs.msg', 'without it a rig file is needed', _ROS.format('tf2-msgs'), Severity.OK),
    Need('std_srvs.srv', 'without it no service ~/calibrate', _ROS.format('std-srvs'), Severity.OK),
    Need('cv_bridge', 'without it our own table converts raw images', _ROS.format('cv-bridge'), Severity.OK),
    Need('rtmlib', "without it no detector 'rtmpose'", _PIP.format('rtmlib'), Severity.OK, slow=True),
    Need('viser', 'without it no geo_pose view', _PIP.format('viser'), Severity.OK, slow=True),
    Need('torch', 'without it no geo_pose train and retrain', _PIP.format('torch'), Severity.OK, slow=True),
)
# Built for what ROS's own binaries are built for, so that they must not be replaced by pip's.
_OF_THE_SYSTEM = ('numpy', 'cv2')


def check_installation(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Check the interpreter, every module of ``NEEDS`` and, where none is missing, the compiled fusion.

    ROS_DISTRO in ``environment``: ROS comes from apt.
    """
    found = [check_python(), *(check_need(need, environment) for need in NEEDS)]
    yield from found
    if worst(found) < Severity.ERROR:
        yield check_kernels()


def check_kernels() -> Finding:
    """Compile the fusion, unless it is; say where it is kept."""
    # Imports all kernels.
    import_module('geo_pose_ros.pipeline')
    from .. import compiled

    when = 'now' if compiled.prepare() else 'before'
    return Finding(Severity.OK, f'fusion: compiled {when}, kept in {", ".join(map(str, compiled.cache_folders()))}')


def check_python(found: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Check the interpreter."""
    low, high = _PYTHONS
    words = f'Python {found[0]}.{found[1]}'
    if low <= found <= high:
        return Finding(Severity.OK, words)
    return Finding(Severity.ERROR, f'{words}; geo_pose_ros takes {low[0]}.{low[1]} to {high[0]}.{high[1]}',
                   'Make the environment with another: PYTHON=python3.11 tools/venv.sh runtime')


def check_need(
    need: Need, environment: Mapping[str, str], prefix: str = sys.prefix, base: str = sys.base_prefix
) -> Finding:
    """Import what ``need`` names and say what came of it.

    Args:
        need: the need.
        environment: environment variables; ROS_DISTRO says that ROS comes from apt.
        prefix, base: of this Python and of the one its virtual environment was made from.
    """
    try:
        if need.slow and find_spec(need.module) is not None:
            return Finding(Severity.OK, need.module)
        module = import_module(need.module)
    except Exception as error:  # noqa: BLE001 - a broken binary raises anything; it becomes the finding
        optional = need.missing == Severity.OK or (need.ros and not environment.get('ROS_DISTRO'))
        if optional and isinstance(error, ModuleNotFoundError):
            return Finding(Severity.OK, f'no {need.module}: {need.purpose}')
        said = f'{type(error).__name__}: {" ".join(str(error).split())}'
        return Finding(need.missing, f'{need.module}: {said}; {need.purpose}', need.remedy)
    folder = str(Path(str(module.__file__)).parent) if getattr(module, '__file__', None) else ''
    version = str(getattr(module, '__version__', ''))
    hidden = prefix != base and folder.startswith(prefix + os.sep) and bool(environment.get('ROS_DISTRO'))
    if need.module in _OF_THE_SYSTEM and hidden:
        return Finding(
            Severity.ERROR,
            f"{need.module}: {version} in {folder} hides that of apt; ROS's binaries are built for apt's",
            f'pip uninstall it there, or make the environment anew. ({need.remedy})',
        )
    return Finding(Severity.OK, ' '.join(part for part in (need.module, version, folder) if part))
