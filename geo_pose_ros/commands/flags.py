"""Settings as flags of the command line."""

from __future__ import annotations

import argparse
from typing import Any, TypeVar

from ..settings import build, walk

T = TypeVar('T')


def add_arguments(parser: argparse.ArgumentParser, kind: type) -> None:
    """Add one flag per setting, ``--group.name``; unset flags are absent from the parsed namespace."""
    for s in walk(kind):
        extra = ', '.join(part for part in (s.unit, s.bounds, f'default {s.default}') if part)
        options: dict[str, Any] = {'type': s.type}
        if s.type is bool:
            options = {'action': argparse.BooleanOptionalAction}
        elif s.type is tuple:
            options = {'nargs': '*', 'type': str}
        parser.add_argument(
            f'--{s.name.replace("_", "-")}', dest=f'setting:{s.name}', default=argparse.SUPPRESS,
            help=f'{s.description} [{extra}]'.replace('%', '%%'), **options,
        )


def from_arguments(kind: type[T], arguments: argparse.Namespace) -> T:
    """Return settings from the flags of ``add_arguments``; raise ConfigError for values out of bounds."""
    marked = {name: value for name, value in vars(arguments).items() if name.startswith('setting:')}
    return build(kind, {name.removeprefix('setting:'): value for name, value in marked.items()})
