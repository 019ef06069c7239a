"""The dependency rule: what each part may import, and that it loads without the libraries it must not need."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import geo_pose_ros

ROOT = Path(geo_pose_ros.__file__).parent
BLOCKED = (
    'rclpy', 'torch', 'mediapipe', 'rtmlib', 'tensorrt', 'cuda', 'rerun', 'tf2_ros', 'cv_bridge', 'hri_msgs',
    'sensor_msgs', 'geo_pose_training', 'distributed', 'viser',
)
# Lower layers may not import higher ones; a part not listed may import anything but ros.
LAYERS = (
    ('errors', 'arrays', 'types', 'skeleton', 'findings', 'settings'),
    ('geometry', 'page'),
    ('messages',),
    ('rigs', 'detection', 'inference', 'lifting', 'fusion'),
    ('scene',),
    ('pipeline', 'runner'),
    ('calibration', 'evaluation'),
    ('bags', 'export'),
    ('view', 'doctor', 'ros', 'simulation'),
    ('commands', 'demo', 'cli'),
)
# Within one layer: what must not know of what.
STRANGERS = (('lifting', 'fusion'), ('fusion', 'lifting'), ('fusion', 'calibration'), ('lifting', 'calibration'))


# What may need ROS to be imported.
OF_ROS = ('geo_pose_ros.ros', 'geo_pose_ros.commands.live.')


def modules():
    return [m.name for m in pkgutil.walk_packages([str(ROOT)], 'geo_pose_ros.') if not m.name.startswith(OF_ROS)]


def blocked_import(statement):
    code = f"""
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {BLOCKED!r}:
            raise ModuleNotFoundError('blocked: ' + name)
sys.meta_path.insert(0, Block())
{statement}
"""
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)


def test_every_module_loads_without_ros_torch_and_vendors():
    done = blocked_import('import importlib\nfor name in ' + repr(modules()) + ': importlib.import_module(name)')
    assert done.returncode == 0, done.stderr
    assert len(modules()) > 20


@pytest.mark.parametrize('name', ['rclpy', 'torch', 'rtmlib'])
def test_the_blocker_blocks(name):
    done = blocked_import(f'import {name}')
    assert done.returncode != 0
    assert f'blocked: {name}' in done.stderr


def part(module):
    """Return the part of the package a dotted name belongs to, or None outside of it."""
    pieces = module.split('.')
    return pieces[1] if pieces[0] == 'geo_pose_ros' and len(pieces) > 1 else None


def imported_parts(path):
    """Yield the parts that a source file imports, at any depth of its code."""
    package = ['geo_pose_ros', *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = '.'.join([*base, *([node.module] if node.module else [])])
            names = [f'{stem}.{alias.name}' for alias in node.names]
        else:
            continue
        yield from (p for p in map(part, names) if p)


def layer(name):
    return next((i for i, names in enumerate(LAYERS) if name in names), None)


@pytest.mark.parametrize('path', sorted(ROOT.rglob('*.py')), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downward(path):
    own = path.relative_to(ROOT).parts[0].removesuffix('.py')
    if layer(own) is None:
        assert own == '__init__', f'{own} is in no layer; add it to LAYERS'
        return
    for used in imported_parts(path):
        if layer(used) is not None and used != own:
            assert layer(used) <= layer(own), f'{own} imports {used}, which lies above it'
            assert (own, used) not in STRANGERS, f'{own} imports {used}'


@pytest.mark.parametrize('path', sorted(ROOT.rglob('*.py')), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_ros_sees_rclpy_and_nothing_sees_torch(path):
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.split('.')[0])
    assert 'torch' not in roots
    if path.relative_to(ROOT).parts[0] != 'ros':
        assert not roots & {'rclpy', 'sensor_msgs', 'std_msgs', 'visualization_msgs', 'geometry_msgs'}

