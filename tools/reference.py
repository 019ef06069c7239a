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
from geo_pose_ros.settings import walk
from tools.charts import CHARTS, draw

RESULTS = Path(__file__).parents[1] / 'docs' / 'benchmarks'
# Its blocks are shown with the public names that they are titled with.
SCRIPTING = Path(__file__).parents[1] / 'docs' / 'scripting.md'
WHAT = {
    'calibrate': 'Camera poses that are found from people who walk. Peers are given the same detections.',
    'demo': 'The demo, with real footage of four cameras.',
    'eyes': 'The detectors\' networks, on real footage.',
    'fleet': 'Many bags, in one process and in two.',
    'fusion': 'From detections to bodies, beside other programs and plain triangulation (DLT). Motion is real (CMU), '
              'detections are simulated.',
    'lifter': 'From the joints of one image to a pose in 3D; `geo` is ours, without labels.',
    'lifter_canonical': 'The same before the lifter knew which way is up.',
    'moving': 'A robot that drives among three walking people (simulated).',
    'one_camera': 'Where a person stands, seen by one camera.',
    'pipeline': 'The time of one set, without the detector.',
    'scenes': 'Simulated people with exact truth. [Scenes](scenes.md) says what was asked and what was reached.',
    'train_memory': 'Training reads from disk; its memory does not grow with the recordings.',
    'train_stream': 'Training from disk, beside training from memory.',
    'view': 'The viewer in headless Chromium, the report, and a node with and without a viewer.',
}
# What the page shows of one file.
MOST_ROWS = 40
# Characters of a line that fits beside both menus.
LONGEST_LINE = 72
# Of files that do not say it themselves.
COMMANDS = {
    'fusion': 'python benchmarks/fusion.py', 'lifter': 'make bench-lifter',
    'lifter_canonical': 'make bench-lifter, of the recipes before gravity', 'moving': 'make bench-moving',
}


def parameters() -> str:
    """Return the page of the node's parameters, one table per part."""
    parts = ['# Parameters\n\nThese are the parameters of `pose_node`. `geo_pose process` takes those of `sync` and '
             '`pipeline` too: `--set NAME=VALUE`.\n']
    groups: dict[str, list[str]] = {}
    for s in walk(NodeConfig):
        default = ', '.join(map(str, s.default)) if isinstance(s.default, tuple) else s.default
        allowed = ', '.join(part for part in (s.unit, s.bounds) if part)
        # A phone may break a long name at its dots.
        groups.setdefault(s.name.rpartition('.')[0], []).append(
            f'| <code>{s.name.replace(".", ".<wbr>")}</code> | {s.description.removesuffix(".")}. '
            f'Default: {"empty" if default == "" else f"`{default}`"}{"; " if allowed else ""}{allowed}. |')
    for name, rows in groups.items():
        parts.append(f'## {name or "The node"}\n\n| parameter | what |\n|---|---|')
        parts += [*rows, '']
    return '\n'.join(parts)


def commands() -> str:
    """Return the page of commands; those whose packages are missing here are named with their line of help."""
    parts = ['# Commands\n']
    for name, (module, line) in cli.COMMANDS.items():
        help_text = _help_of(name, module)
        shown = f'```text\n{help_text.rstrip()}\n```' if help_text else f'{line[0].upper()}{line[1:]}.'
        parts.append(f'## geo_pose {name}\n\n{shown}\n')
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
            parts.append(_signature(name, public))
        parts.append(f'{prose(inspect.getdoc(public) or "")}\n\n```python title="Example"\n{blocks[name]}\n```\n')
        if inspect.isclass(public):
            for member, value in vars(public).items():
                shown = inspect.isfunction(value) or isinstance(value, (property, classmethod))
                if shown and not member.startswith('_'):
                    function: Any = getattr(value, '__func__', value)
                    parts.append(f'### `{name}.{member}`\n')
                    if not isinstance(value, property):
                        parts.append(_signature(member, function))
                    parts.append(f'{prose(inspect.getdoc(function) or "")}\n')
    return '\n'.join(parts)


def prose(docstring: str) -> str:
    """Return a docstring as Markdown: its sections as lists, its indented examples as code."""
    lines = []
    for block in re.split(r'\n\s*\n', docstring):
        section = re.match(r'(Args|Attributes|Returns|Yields|Raises):\n', block)
        if section:
            entries = re.split(r'\n    (?=\S)', '\n' + block[section.end():])
            named = (re.sub(r'^([\w, *]+): ', lambda found: f'`{found[1]}`: ', _text(entry)) for entry in entries[1:])
            lines.append(f'**{section[1]}**\n\n' + '\n'.join(f'- {entry}' for entry in named))
        elif block.startswith('    '):
            lines.append(f'```python\n{inspect.cleandoc(block)}\n```')
        else:
            lines.append(_text(block).removesuffix(':') + (':' if block.endswith(':') else ''))
    return '\n\n'.join(lines)


def _text(words: str) -> str:
    """Return the words of a docstring on one line, as Markdown."""
    marked = re.sub(r'``(.+?)``', r'`\1`', ' '.join(words.split()))
    return marked.replace('<', '&lt;')


def examples() -> dict[str, str]:
    """Return the blocks of docs/scripting.md in order, by title; the first has none."""
    found = re.findall(r'^```python(?: title="(\w+)")?\n(.*?)^```', SCRIPTING.read_text(), re.DOTALL | re.MULTILINE)
    return {title: text.strip() for title, text in found}


def benchmarks() -> str:
    """Return the page of measured numbers, from docs/benchmarks/*.json."""
    parts = ['# Benchmarks\n\nThe files in `docs/benchmarks` hold all numbers. Each has the command that prints it. '
             'Do not compare\nnumbers of different machines, or of different loads. A shorter bar is better.\n']
    for path in sorted(RESULTS.glob('*.json')):
        tree = json.loads(path.read_text())
        tree.setdefault('command', COMMANDS.get(path.stem, ''))
        said = {key: tree.pop(key) for key in ('command', 'commit', 'date', 'machine', 'note') if key in tree}
        parts.append(f'## {path.stem}\n\n{WHAT.get(path.stem, "")}\n')
        parts += [f'{draw(chart, tree)}\n' for chart in CHARTS.get(path.stem, ())]
        parts += [f'![{path.stem}](benchmarks/{image.name})\n' for image in sorted(RESULTS.glob(f'{path.stem}*.png'))]
        parts.append('\n'.join(f'- {key}: {value}' for key, value in said.items()) + '\n')
        rows = list(_numbers(tree))
        more = f', {len(rows) - MOST_ROWS} numbers more' if len(rows) > MOST_ROWS else ''
        parts.append(f'All of it: [{path.name}](benchmarks/{path.name}){more}.\n')
        table = ['| what | value |', '|---|---|', *(f'| {name} | {value} |' for name, value in rows[:MOST_ROWS])]
        parts.append('??? note "Numbers"\n\n' + '\n'.join(f'    {row}' for row in table) + '\n')
    return '\n'.join(parts)


def _numbers(tree: Any, name: str = '') -> Iterator[tuple[str, str]]:
    """Yield name and value of each number or word of a JSON tree; those of lists by their place."""
    if isinstance(tree, (dict, list)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _numbers(value, f'{name}, {key}' if name else str(key))
    else:
        yield name, '-' if tree is None else f'{tree:.4g}' if isinstance(tree, float) else str(tree)


def _signature(name: str, function: Any) -> str:
    """Return how something is called, as a block; one argument a line where one line is too short."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return f'```python\n{name}()\n```\n'
    # Annotations are texts already, which Python quotes.
    arguments = [re.sub(r"(: |-> )'(.*?)'(?= =|$)", r'\1\2', str(one))
                 for one in signature.parameters.values() if one.name not in ('self', 'cls')]
    back = signature.return_annotation
    end = '' if back in (signature.empty, None, 'None') else f' -> {back}'
    made = f'{name}({", ".join(arguments)}){end}'
    if len(made) > LONGEST_LINE:
        made = f'{name}(\n    ' + ',\n    '.join(arguments) + f',\n){end}'
    return f'```python\n{made.replace("geo_pose_ros.", "")}\n```\n'


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
