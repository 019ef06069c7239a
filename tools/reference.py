"""MkDocs hook: the pages of the reference that are made from the code, so that nothing is stated twice."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import geo_pose_ros
from geo_pose_ros import cli
from geo_pose_ros.config import NodeConfig, to_markdown


def parameters() -> str:
    """Return the page of the node's parameters."""
    return f'# Parameters\n\nOf `pose_node`; `geo_pose process` takes those of `sync` and `pipeline` as flags.\n\n' \
           f'{to_markdown(NodeConfig)}'


def commands() -> str:
    """Return the page of commands; those whose packages are missing here are named with their line of help."""
    parts = ['# Commands\n']
    for name, (module, line) in cli._COMMANDS.items():
        parts.append(f'## geo_pose {name}\n\n{line[0].upper()}{line[1:]}.\n')
        help_text = _help_of(name, module)
        if help_text:
            parts.append(f'```text\n{help_text.rstrip()}\n```\n')
    return '\n'.join(parts)


def _help_of(name: str, module: str) -> str:
    if module == cli._NODE:
        return ''
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return ''
    parser = cli._parser(name)
    for action in parser._subparsers._group_actions if parser._subparsers is not None else ():
        chosen = (action.choices or {}).get(name)  # type: ignore[union-attr, call-overload]
        if chosen is not None:
            return str(chosen.format_help())
    return ''


def python() -> str:
    """Return the page of the public Python names."""
    parts = ['# Python\n\n`from geo_pose_ros import ...`. Programs that use them: `examples/`.\n']
    for name in geo_pose_ros.__all__:
        public = getattr(geo_pose_ros, name)
        parts.append(f'## {name}\n')
        if inspect.isclass(public) or inspect.isfunction(public):
            parts.append(f'```python\n{name}{_signature(public)}\n```\n')
        parts.append(f'```text\n{inspect.getdoc(public)}\n```\n')
        if inspect.isclass(public):
            for member, value in vars(public).items():
                shown = inspect.isfunction(value) or isinstance(value, (property, classmethod))
                if shown and not member.startswith('_'):
                    function: Any = getattr(value, '__func__', value)
                    signature = '' if isinstance(value, property) else _signature(function)
                    said = inspect.getdoc(value if isinstance(value, property) else function) or ''
                    parts.append(f'**{name}.{member}**`{signature}`\n\n```text\n{said}\n```\n' if signature
                                 else f'**{name}.{member}**\n\n```text\n{said}\n```\n')
    return '\n'.join(parts)


def _signature(function: Any) -> str:
    try:
        return str(inspect.signature(function)).replace('geo_pose_ros.', '')
    except ValueError:
        return '()'


PAGES = {'reference/parameters.md': parameters, 'reference/commands.md': commands, 'reference/python.md': python}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files
