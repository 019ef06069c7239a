"""Which parameters were given to all nodes, and not to this one: rclpy gives a node both without saying which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from ...settings import flatten

_FLAG = '--params-file'
# Node names that stand for all.
_ALL = ('*', '**')


def shared_names(*command_lines: Sequence[str]) -> frozenset[str]:
    """Return the parameters that files on ``command_lines`` give to all nodes and to none by its name.

    Files that cannot be read are left to rcl, which has refused them already.
    """
    to_all: set[str] = set()
    to_some: set[str] = set()
    for words in command_lines:
        for path in _files(words):
            for node_name, names in _sections(path):
                (to_all if node_name.rsplit('/', 1)[-1] in _ALL else to_some).update(names)
    return frozenset(to_all - to_some)


def _files(words: Sequence[str]) -> Iterator[Path]:
    for word, following in pairwise(words):
        if word == _FLAG:
            yield Path(following)


def _sections(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the full node name and parameter names of each section; namespaces may be nested."""
    try:
        tree: Any = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    pending: list[tuple[str, Any]] = [('', tree)]
    while pending:
        name, section = pending.pop()
        for key, value in section.items() if isinstance(section, Mapping) else ():
            if key == 'ros__parameters' and isinstance(value, Mapping):
                yield name, set(flatten(value))
            else:
                pending.append((f'{name}/{key}', value))
