# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""MkDocs hook: the pages of the reference that are made from the code, so that nothing is stated twice."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geo_pose_ros
from geo_pose_ros import cli
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.settings import to_markdown

RESULTS = Path(__file__).parents[1] / 'docs' / 'benchmarks'
# Its blocks are shown with the public names that they are titled with.
SCRIPTING = Path(__file__).parents[1] / 'docs' / 'scripting.md'
# What the page shows of one file.
MOST_ROWS = 40
# Of files that do not say it themselves.
COMMANDS = {
    'fusion': 'python benchmarks/fusion.py', 'lifter': 'make bench-lifter',
    'lifter_canonical': 'make bench-lifter, of the recipes before gravity', 'moving': 'make bench-moving',
}


def parameters() -> str:
    """Return the page of the node's parameters."""
    return f'# Parameters\n\nOf `pose_node`; `geo_pose process` takes those of `sync` and `pipeline` as flags.\n\n' \
           f'{to_markdown(NodeConfig)}'


def commands() -> str:
    """Return the page of commands; those whose packages are missing here are named with their line of help."""
    parts = ['# Commands\n']
    for name, (module, line) in cli.COMMANDS.items():
        parts.append(f'## geo_pose {name}\n\n{line[0].upper()}{line[1:]}.\n')
        help_text = _help_of(name, module)
        if help_text:
            parts.append(f'```text\n{help_text.rstrip()}\n```\n')
    return '\n'.join(parts)


def _help_of(name: str, module: str) -> str:
    if module == cli.NODE:
        return ''
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return ''
    parser = cli.parser_for([name])
    for action in parser._subparsers._group_actions if parser._subparsers is not None else ():
        chosen = (action.choices or {}).get(name)  # type: ignore[union-attr, call-overload]
        if chosen is not None:
            return str(chosen.format_help())
    return ''


def python() -> str:
    """Return the page of the public Python names."""
    parts = ['# Python\n\n`from geo_pose_ros import ...`. How they go together: [From Python](../scripting.md).\n']
    blocks = examples()
    for name in geo_pose_ros.__all__:
        public = getattr(geo_pose_ros, name)
        parts.append(f'## {name}\n')
        if inspect.isclass(public) or inspect.isfunction(public):
            parts.append(f'```python\n{name}{_signature(public)}\n```\n')
        parts.append(f'```text\n{inspect.getdoc(public)}\n```\n\n```python\n{blocks[name]}\n```\n')
        if inspect.isclass(public):
            for member, value in vars(public).items():
                shown = inspect.isfunction(value) or isinstance(value, (property, classmethod))
                if shown and not member.startswith('_'):
                    function: Any = getattr(value, '__func__', value)
                    signature = '' if isinstance(value, property) else f'`{_signature(function)}`'
                    parts.append(f'**{name}.{member}**{signature}\n\n```text\n{inspect.getdoc(function) or ""}\n```\n')
    return '\n'.join(parts)


def examples() -> dict[str, str]:
    """Return the blocks of docs/scripting.md in order, by title; the first has none."""
    found = re.findall(r'^```python(?: title="(\w+)")?\n(.*?)^```', SCRIPTING.read_text(), re.DOTALL | re.MULTILINE)
    return {title: text.strip() for title, text in found}


def benchmarks() -> str:
    """Return the page of measured numbers, from docs/benchmarks/*.json."""
    parts = ['# Benchmarks\n\nMade from the files in `docs/benchmarks`, which hold all numbers, each with the command '
             'that prints it.\nNumbers of different machines, or of different loads, do not compare.\n']
    for path in sorted(RESULTS.glob('*.json')):
        tree = json.loads(path.read_text())
        tree.setdefault('command', COMMANDS.get(path.stem, ''))
        said = {key: tree.pop(key) for key in ('command', 'commit', 'date', 'machine', 'note') if key in tree}
        parts.append(f'## {path.stem}\n')
        parts.append('\n'.join(f'- {key}: {value}' for key, value in said.items()) + '\n')
        rows = list(_numbers(tree))
        parts.append('| what | value |\n|---|---|')
        parts += [f'| {name} | {value} |' for name, value in rows[:MOST_ROWS]]
        more = f', {len(rows) - MOST_ROWS} numbers more' if len(rows) > MOST_ROWS else ''
        parts.append(f'\nAll of it: [{path.name}](benchmarks/{path.name}){more}.\n')
        images = sorted(RESULTS.glob(f'{path.stem}*.png'))
        parts += [f'![{path.stem}](benchmarks/{image.name})\n' for image in images]
    return '\n'.join(parts)


def _numbers(tree: Any, name: str = '') -> Iterator[tuple[str, str]]:
    """Yield name and value of each number or word of a JSON tree; those of lists by their place."""
    if isinstance(tree, (dict, list)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _numbers(value, f'{name}, {key}' if name else str(key))
    else:
        yield name, '-' if tree is None else f'{tree:.4g}' if isinstance(tree, float) else str(tree)


def _signature(function: Any) -> str:
    try:
        return str(inspect.signature(function)).replace('geo_pose_ros.', '')
    except ValueError:
        return '()'


PAGES = {
    'benchmarks.md': benchmarks, 'reference/parameters.md': parameters, 'reference/commands.md': commands,
    'reference/python.md': python,
}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files
