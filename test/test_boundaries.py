# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The dependency rule: what each part may import, and that it loads without the libraries it must not need."""

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

import geo_pose_ros

ROOT = Path(__file__).parents[1]
PACKAGES = {'geo_pose_ros': ROOT / 'geo_pose_ros', 'geo_pose_training': ROOT / 'training'}
# The layers, lowest first: the only place that states them. A part imports its own layer and lower ones.
LAYERS = (
    ('errors', 'arrays', 'compiled', 'types', 'skeleton', 'findings', 'settings', 'colours'),
    ('geometry', 'page'),
    ('messages',),
    ('rigs', 'detection', 'inference', 'lifting', 'fusion'),
    ('scene',),
    ('pipeline', 'runner'),
    ('calibration', 'evaluation'),
    ('bags', 'export'),
    ('view', 'assistant', 'session', 'doctor', 'ros', 'simulation', 'training'),
    ('commands', 'demo', 'cli'),
)
# Within one layer: parts that do not know of each other.
INDEPENDENT = (('lifting', 'fusion'), ('fusion', 'lifting'))
# Who else may import a library. Each other library of a vendor is imported in at most one module.
ONLY_IN = {
    'argparse': r'(geo_pose_ros|geo_pose_training)\.(commands|cli)\b',
    'rclpy': r'geo_pose_ros\.ros\.',
    'sensor_msgs': r'geo_pose_ros\.ros\.', 'std_msgs': r'geo_pose_ros\.ros\.',
    'visualization_msgs': r'geo_pose_ros\.ros\.', 'geometry_msgs': r'geo_pose_ros\.ros\.',
    'torch': r'geo_pose_training\.',
    # Animated skeletons, and nothing else.
    'pygltflib': r'geo_pose_ros\.export\.glb$',
    'onnx': r'geo_pose_ros\.inference\.|geo_pose_training\.',
    'onnxruntime': r'geo_pose_ros\.inference\.|geo_pose_training\.evaluation\.predictor',
    # Tables of results, and shards of training data.
    'pyarrow': r'geo_pose_ros\.export\.tables$|geo_pose_training\.data\.store\.shards$',
    'pandas': r'geo_pose_ros\.session\.bodies$', 'xarray': r'geo_pose_ros\.session\.bodies$',
    'rosbags': r'geo_pose_ros\.(bags|ros)\.',
}
ONCE = (
    'cuda', 'cv_bridge', 'distributed', 'ezc3d', 'h5py', 'imageio_ffmpeg', 'numba', 'rtmlib', 'tensorrt', 'tf2_ros',
    'viser',
)

BLOCKED = (
    'rclpy', 'torch', 'mediapipe', 'rtmlib', 'tensorrt', 'cuda', 'rerun', 'tf2_ros', 'cv_bridge', 'hri_msgs',
    'sensor_msgs', 'geo_pose_training', 'distributed', 'viser', 'ezc3d',
    'pygltflib', 'pyarrow', 'pandas', 'xarray', 'imageio_ffmpeg',
)
# What may need ROS to be imported.
OF_ROS = ('geo_pose_ros.ros', 'geo_pose_ros.commands.live.')


def module_name(package, path):
    parts = [package, *path.relative_to(PACKAGES[package]).with_suffix('').parts]
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {module_name(package, path): path for package, root in PACKAGES.items() for path in root.rglob('*.py')}


def imports_of(module):
    """Yield the dotted names that a module imports, in functions too; not those for the type checker alone."""
    path = MODULES[module]
    package = module.split('.') if path.name == '__init__.py' else module.split('.')[:-1]
    unread = [ast.parse(path.read_text())]
    while unread:
        node = unread.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = '.'.join([*base, *([node.module] if node.module else [])])
            yield from (f'{stem}.{alias.name}' for alias in node.names)
        elif not (isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test)):
            unread += ast.iter_child_nodes(node)


IMPORTS = {module: sorted(set(imports_of(module))) for module in MODULES}


def part(module):
    """Return the part of the house a dotted name belongs to; '' outside of it and for the package itself."""
    package, *names = module.split('.')
    if package == 'geo_pose_training':
        return 'commands' if names[:1] in (['commands'], ['cli']) else 'training'
    return names[0] if package == 'geo_pose_ros' and names else ''


def layer(name):
    return next((i for i, names in enumerate(LAYERS) if name in names), None)


@pytest.mark.parametrize('module', sorted(MODULES))
def test_imports_go_downward(module):
    own = part(module)
    if not own:
        return
    assert layer(own) is not None, f'{own} is in no layer; add it to LAYERS'
    for used in {part(name) for name in IMPORTS[module]} - {own, ''}:
        # A public name of the package is of no layer.
        if layer(used) is not None:
            assert layer(used) <= layer(own), f'{module} imports {used}, which lies above it'
            assert (own, used) not in INDEPENDENT, f'{module} imports {used}'


def test_no_imports_go_in_circles():
    names = sorted(MODULES)
    graph = np.zeros((len(names), len(names)), bool)
    for module, imported in IMPORTS.items():
        for name in imported:
            while name and name not in MODULES:
                name = name.rpartition('.')[0]
            if name and name != module:
                graph[names.index(module), names.index(name)] = True
    count, component = connected_components(graph, directed=True, connection='strong')
    circles = [[names[i] for i in np.flatnonzero(component == k)] for k in range(count)]
    assert [circle for circle in circles if len(circle) > 1] == []


def test_the_middleware_of_ros_knows_no_node():
    below = [m for m in MODULES if m.startswith('geo_pose_ros.ros.io.')]
    assert len(below) > 5
    above = re.compile(r'geo_pose_ros\.ros\.(nodes|health|tools)\b')
    assert [(m, name) for m in below for name in IMPORTS[m] if above.match(name)] == []


def importers(library):
    return sorted(module for module, names in IMPORTS.items() if library in {name.split('.')[0] for name in names})


@pytest.mark.parametrize('library', sorted(ONLY_IN))
def test_a_library_is_imported_where_it_belongs(library):
    assert [module for module in importers(library) if not re.match(ONLY_IN[library], module)] == []


@pytest.mark.parametrize('library', ONCE)
def test_a_library_is_imported_in_one_module(library):
    assert len(importers(library)) <= 1


def test_the_architecture_page_shows_these_layers():
    rows = re.findall(r'^\| (`.*?) \|', (ROOT / 'docs' / 'architecture.md').read_text(), re.MULTILINE)
    assert tuple(tuple(re.findall(r'`([\w]+)', row)) for row in rows) == LAYERS


def test_the_drawing_for_contributors_shows_these_layers():
    house = (ROOT / 'CONTRIBUTING.md').read_text().split('## 2. The house')[1].split('```')[1]
    rows = [re.split(r'\s{3,}', line.strip())[0] for line in house.splitlines()[1:]]
    assert tuple(tuple(row.replace('/', '').split()) for row in rows if row) == LAYERS


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
    found = (module.name for module in pkgutil.walk_packages(geo_pose_ros.__path__, 'geo_pose_ros.'))
    names = [name for name in found if not name.startswith(OF_ROS)]
    done = blocked_import('import importlib\nfor name in ' + repr(names) + ': importlib.import_module(name)')
    assert done.returncode == 0, done.stderr
    assert len(names) > 20


@pytest.mark.parametrize('name', ['rclpy', 'torch', 'rtmlib'])
def test_the_blocker_blocks(name):
    done = blocked_import(f'import {name}')
    assert done.returncode != 0
    assert f'blocked: {name}' in done.stderr
