# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Leaves out, and says so, what needs a package that a robot does not have."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

# Training and its tests need them; no node does.
_WORKSTATION_ONLY = tuple(
    name for name in ('torch', 'onnx', 'h5py', 'pyarrow', 'hypothesis') if find_spec(name) is None
)
_ROOT = Path(__file__).parent
_HELPERS = {path.stem: path for path in _ROOT.rglob('*.py') if not path.name.startswith(('test_', '__'))}


def _imports(path: Path) -> set[str]:
    """Return the packages that ``path``, and the helpers of test/ that it imports, import at their top."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.split('.')[0])
        if isinstance(node, ast.ImportFrom):
            helpers = [alias.name for alias in node.names] + [(node.module or '').rsplit('.', 1)[-1]]
            for helper in {_HELPERS[name] for name in helpers if name in _HELPERS} - {path}:
                found |= _imports(helper)
    return found


def _left_out(path: Path) -> bool:
    return _ROOT / 'training' in path.parents or bool(_imports(path) & set(_WORKSTATION_ONLY))


collect_ignore = [
    str(path) for path in sorted(_ROOT.rglob('test_*.py')) if _WORKSTATION_ONLY and _left_out(path)
]


def pytest_report_header(config: pytest.Config) -> str:
    """Name what is missing, and which files are left out for it."""
    if not collect_ignore:
        return ''
    files = ', '.join(str(Path(path).relative_to(_ROOT)) for path in collect_ignore)
    return f'left out, for want of {", ".join(_WORKSTATION_ONLY)}: {files}'


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let no test compile a kernel for types or layouts that are not declared, nor wait for a compilation."""
    if session.items and not session.config.option.collectonly:
        # Imports all kernels.
        import_module('geo_pose_ros.pipeline')
        from geo_pose_ros import compiled

        compiled.prepare()
