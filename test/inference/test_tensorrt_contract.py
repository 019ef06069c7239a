# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Every class, attribute and call of TensorRT's bindings that the code uses, looked up in the real bindings.

The wheels tensorrt-cu12-bindings hold the Python side only. Loaded over stand-ins of the libraries that they are linked
against they can be read, not run, without a GPU. Checked are the installed version and those unpacked in the
folders of $GEO_POSE_TENSORRT_BINDINGS (pip download --no-deps tensorrt-cu12-bindings==11.4.0.106, unzip).
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geo_pose_ros.inference import tensorrt as engine

# What the code's variables and attributes hold.
_CLASSES = {
    'builder': 'Builder', 'network': 'INetworkDefinition', 'parser': 'OnnxParser', 'settings': 'IBuilderConfig',
    'profile': 'IOptimizationProfile', 'given': 'ITensor', 'self._runtime': 'Runtime', 'self._engine': 'ICudaEngine',
    'self._context': 'IExecutionContext',
}
_READ = """
import inspect, json, os, sys
sys.setdlopenflags(os.RTLD_LAZY)
import tensorrt_bindings as trt
found = {}
for name in json.loads(sys.argv[1]):
    value = trt
    for part in name.split('.'):
        value = getattr(value, part, None)
    found[name] = None if value is None else (inspect.getdoc(value) or '')
print(json.dumps({'version': trt.__version__, 'found': found}))
"""


def _bindings() -> list[Path]:
    installed = importlib.util.find_spec('tensorrt_bindings')
    folders = [Path(f) for f in os.environ.get('GEO_POSE_TENSORRT_BINDINGS', '').split(os.pathsep) if f]
    return folders + ([Path(str(installed.origin)).parent.parent] if installed else [])


def _write_stand_in(path: Path, symbols: list[str]) -> None:
    """Write a shared library that has ``symbols``, which do nothing."""
    source = '\n'.join(f'void {symbol}(void) {{}}' for symbol in symbols)
    command = ['cc', '-w', '-fPIC', '-shared', '-nostdlib', f'-Wl,-soname,{path.name}', '-o', str(path), '-x', 'c', '-']
    subprocess.run(command, input=source, text=True, check=True)


def _uses() -> dict[str, list[int]]:
    """Return the dotted names that tensorrt.py uses, with the numbers of arguments that it calls them with."""
    uses: dict[str, list[int]] = {}
    tree = ast.parse(Path(str(engine.__file__)).read_text(encoding='utf-8'))
    calls = {
        id(node.func): len(node.args) for node in ast.walk(tree)
        # How many arguments a starred one is cannot be read.
        if isinstance(node, ast.Call) and not any(isinstance(argument, ast.Starred) for argument in node.args)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = _dotted(node)
            if name:
                uses.setdefault(name, []).extend([calls[id(node)]] if id(node) in calls else [])
    return uses


def _dotted(node: ast.Attribute) -> str:
    """Return e.g. 'Logger.WARNING' of trt.Logger.WARNING, 'ICudaEngine.x' of self._engine.x; '' of anything else."""
    parts = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        parts.insert(0, value.attr)
        value = value.value
    if not isinstance(value, ast.Name):
        return ''
    if value.id == 'trt':
        return '.'.join(parts)
    holder = value.id
    if holder == 'self':
        holder, parts = f'self.{parts[0]}', parts[1:]
    return f'{_CLASSES[holder]}.{parts[0]}' if holder in _CLASSES and len(parts) == 1 else ''


def _read(bindings: Path, names: list[str], stand_ins: Path) -> dict[str, Any]:
    """Return the version and the docstrings of ``names`` in ``bindings``, None where there is no such name."""
    linked = (bindings / 'tensorrt_bindings' / 'tensorrt.so').read_bytes()
    # The vendor's functions whose addresses are taken; others are looked up when they are called, which is never.
    symbols = [name.decode() for name in set(re.findall(rb'\0((?:get|create|initLib)\w+)(?=\0)', linked))]
    for soname in set(re.findall(rb'libnv[a-z_]+\.so\.\d+', linked)):
        _write_stand_in(stand_ins / soname.decode(), symbols)
    environment = {**os.environ, 'LD_LIBRARY_PATH': str(stand_ins), 'PYTHONPATH': str(bindings)}
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', _READ, json.dumps(names)], capture_output=True, text=True, check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _arguments(docstring: str) -> list[tuple[int, int]]:
    """Return the least and largest number of arguments of each overload that pybind11 documents, self not counted."""
    bounds = []
    for signature in re.findall(r'^(?:\d+\. )?\w+\((self: .*?)\) ->', docstring, re.MULTILINE):
        arguments = re.split(r', (?=\w+: )', signature)[1:]
        bounds.append((sum('=' not in argument for argument in arguments), len(arguments)))
    return bounds


def _missing(found: dict[str, Any], uses: dict[str, list[int]]) -> list[str]:
    missing = [f'{name} does not exist' for name, doc in found.items() if doc is None]
    for name, counts in uses.items():
        bounds = _arguments(found.get(name) or '')
        missing += [
            f'{name} takes {bounds} arguments, called with {count}' for count in counts
            if bounds and not any(low <= count <= high for low, high in bounds)
        ]
    return missing


def test_the_uses_are_found_in_the_source() -> None:
    uses = _uses()
    assert {'Logger.WARNING', 'NetworkDefinitionCreationFlag.STRONGLY_TYPED', 'nptype', '__version__'} <= set(uses)
    assert uses['IExecutionContext.execute_async_v3'] == [1]
    assert uses['IBuilderConfig.set_memory_pool_limit'] == [2]
    assert uses['ICudaEngine.num_io_tensors'] == []
    assert set(_CLASSES.values()) <= {name.split('.')[0] for name in uses}


@pytest.mark.skipif(not _bindings(), reason='tensorrt-cu12-bindings is not installed')
@pytest.mark.skipif(shutil.which('cc') is None, reason='no C compiler')
@pytest.mark.parametrize('bindings', _bindings(), ids=lambda path: path.name)
def test_the_bindings_have_all_that_is_used(bindings: Path, tmp_path: Path) -> None:
    uses = _uses()
    read = _read(bindings, sorted(uses), tmp_path)
    assert read['version'].split('.')[0] in ('10', '11')
    assert _missing(read['found'], uses) == []
    # And what is not there is seen to be missing.
    wrong = {'Builder.create_everything': [0], 'IExecutionContext.execute_async_v3': [3]}
    again = _read(bindings, sorted(wrong), tmp_path)
    assert len(_missing(again['found'], wrong)) == 2
