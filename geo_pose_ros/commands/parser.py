# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The parser of every command: short help with examples, and one line for each mistake that names what was meant."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from ..errors import suggestion

_EXAMPLES = 'examples:\n'


class _Formatter(argparse.HelpFormatter):
    """Help as wide as the terminal, between 80 and 120 columns; examples stay as they are."""

    def __init__(self, prog: str) -> None:
        width = min(max(shutil.get_terminal_size().columns, 80), 120)
        super().__init__(prog, max_help_position=32, width=width - 1)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(_EXAMPLES) else super()._fill_text(text, width, indent)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        """Return `BAG ...` for one or several, instead of `BAG [BAG ...]`."""
        if action.nargs in ('+', '*') and not isinstance(action.metavar, tuple):
            text = f'{action.metavar or default_metavar} ...'
            return text if action.nargs == '+' else f'[{text}]'
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """A parser whose messages are one line.

    Attributes:
        kinds: the dataclasses whose settings ``--set`` changes.
        examples: commands that its help shows; a mistake is answered with the first.
        rare: flags that only ``--help-settings`` lists, with their help.
        takes_all: whether flags that it does not know are somebody else's.
    """

    kinds: Sequence[type] = ()
    rare: Mapping[str, str] = MappingProxyType({})
    examples: Sequence[str] = ()
    takes_all = False

    def _get_formatter(self) -> argparse.HelpFormatter:
        return _Formatter(self.prog)

    def _get_option_tuples(self, _: str) -> list[tuple[argparse.Action, str, str | None]]:
        """Return no flags that begin so: flags are written in full."""
        return []

    def add_rare_argument(self, flag: str, *, help: str, **options: Any) -> None:
        """Add a flag that few need: ``--help-settings`` lists it, ``--help`` does not."""
        self.add_argument(flag, help=argparse.SUPPRESS, **options)
        self.rare = {**self.rare, flag: help}

    @property
    def settings(self) -> list[str]:
        """Names of the settings that ``--set`` changes."""
        # `check` runs where PyYAML is missing too.
        if not self.kinds:
            return []
        from ..settings import walk

        return [s.name for kind in self.kinds for s in walk(kind)]

    @property
    def flags(self) -> list[str]:
        """All flags in their long form."""
        return sorted(flag for flag in self._option_string_actions if flag.startswith('--'))

    def finish(self) -> None:
        """Add the examples, name in the usage only what must be given, and show rare flags if there are no settings."""
        if self.examples:
            self.epilog = _EXAMPLES + '\n'.join(f'  {example}' for example in self.examples)
        for action in self._actions if not self.settings else ():
            if set(action.option_strings) & set(self.rare):
                action.help = self.rare[action.option_strings[0]].replace('%', '%%')
        formatter = self._get_formatter()
        parts = []
        for action in self._actions:
            metavar = formatter._get_default_metavar_for_optional(action) if action.option_strings else (
                formatter._get_default_metavar_for_positional(action))
            if action.required or not action.option_strings:
                words = formatter._format_args(action, metavar)
                parts.append(' '.join([*action.option_strings[-1:], words]) if action.option_strings else words)
        self.usage = ' '.join([self.prog, *parts, '[flags]']).replace('%', '%%')

    def parse_known_args(  # type: ignore[override] # argparse's overloads return what they are given
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse after a look at the flags, so that a typo comes before what it leaves missing."""
        words = list(sys.argv[1:] if args is None else args)
        for word in () if self.takes_all else words:
            if word == '--' or (self._subparsers is not None and not word.startswith('-')):
                break
            name = word.partition('=')[0]
            if name.startswith('--') and name not in self._option_string_actions:
                self.error(self._unknown(name))
        return super().parse_known_args(words, namespace)

    def _unknown(self, flag: str) -> str:
        name = flag[2:].replace('-', '_')
        for setting, value in ((name, 'VALUE'), (name.removeprefix('no_'), 'false')):
            if setting in self.settings:
                return f'{flag} is a setting now: give --set {setting}={value}'
        near = suggestion(flag, self._option_string_actions) or suggestion(name, self.settings)
        return f'there is no flag {flag}.{near or f" {self.prog} --help lists them."}'

    def _check_value(self, action: argparse.Action, value: object) -> None:
        choices = action.choices
        if choices is not None and value not in choices and isinstance(action, argparse._SubParsersAction):
            near = suggestion(str(value), choices)
            self.error(f"there is no command '{value}'.{near or f' {self.prog} --help lists them.'}")
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        """End with status 2 and one line."""
        missing = message.removeprefix('the following arguments are required: ')
        if missing != message:
            help_line = f'{self.prog} --help says more'
            message = f'{missing} must be given; ' + (f'example: {self.examples[0]}' if self.examples else help_line)
        self.exit(2, f'{self.prog}: {message}\n')
