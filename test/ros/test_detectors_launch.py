"""The launch file of several detector processes; launch is not on PyPI, so its modules are stood in for."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from test.ros.harness import RIG
from test.ros.test_launch import NAMES, ROOT, LaunchConfiguration, Made, of


@pytest.fixture
def description(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    for name, classes in NAMES.items():
        module = ModuleType(name)
        for each in classes:
            setattr(module, each, type(each, (Made,), {}))
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules['launch.substitutions'].LaunchConfiguration = LaunchConfiguration  # type: ignore[attr-defined]
    loaded = runpy.run_path(str(ROOT / 'launch' / 'detectors.launch.py'))
    return list(loaded['generate_launch_description']().args[0])


@pytest.mark.parametrize(('processes', 'shares'), [('2', 2), ('9', 4), ('0', 1)])
def test_each_process_gets_its_share_and_is_started_again(
    description: list[Any], rig_path: str, processes: str, shares: int
) -> None:
    (function,) = of(description, 'OpaqueFunction')
    context = {'rig': rig_path, 'params': 'p.yaml', 'processes': processes, 'detector_params': ''}
    pose_node, *detectors = function.kwargs['function'](context)
    assert pose_node.kwargs['parameters'] == ['p.yaml', {'rig': str(Path(rig_path)), 'transport': 'keypoints'}]
    assert len(detectors) == shares
    cameras = [name for node in detectors for name in node.kwargs['parameters'][0]['cameras']]
    assert sorted(cameras) == sorted(RIG.names)
    assert len({node.kwargs['name'] for node in detectors}) == shares
    assert all(node.kwargs['respawn'] and node.kwargs['respawn_delay'] < 2.0 for node in detectors)
    assert all(node.kwargs['executable'] == 'detector_node' for node in detectors)


def test_arguments(description: list[Any]) -> None:
    names = [argument.args[0] for argument in of(description, 'DeclareLaunchArgument')]
    assert names == ['rig', 'processes', 'params', 'detector_params']
