# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Typed settings, stated once.

Each part has one frozen dataclass; each field carries default, unit, bounds and description (``setting``). ``walk``
yields them flat; validation, ROS parameter descriptors, YAML, command-line flags and the docs table derive from it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast, get_type_hints

import yaml

from .errors import ConfigError, suggestion

if TYPE_CHECKING:
    from typing import Unpack

Value = bool | int | float | str | tuple[str, ...]
T = TypeVar('T')


class Limits(TypedDict, total=False):
    """What a setting may say besides its default and description.

    ``low`` and ``high`` are inclusive bounds, ``choices`` the allowed strings. ``live``: a running node takes a change
    at once; all others need it to be configured again. ``formerly``: the field's old name, which is refused with a
    word about the new one.
    """

    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    live: bool
    formerly: str


def setting(default: Value, description: str, **limits: Unpack[Limits]) -> Any:
    """Declare a field of a settings dataclass."""
    return field(default=default, metadata={'description': description, **limits})


@dataclass(frozen=True, slots=True)
class Setting:
    """One leaf of the settings tree, as ``walk`` yields it."""

    name: str
    type: type
    default: Value
    description: str
    unit: str = ''
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    formerly: str = ''

    @property
    def former_name(self) -> str:
        """The old name with its groups; '' if it has none."""
        if not self.formerly or '.' in self.formerly:
            return self.formerly
        return self.name[: self.name.rfind('.') + 1] + self.formerly

    def check(self, value: object) -> Value:
        """Return ``value`` in the declared type.

        Raises:
            ConfigError: for another type, a value out of bounds, or an unknown choice.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if self.type is tuple and isinstance(value, list):
            value = tuple(value)
        wrong_item = isinstance(value, tuple) and not all(isinstance(item, str) for item in value)
        if type(value) is not self.type or wrong_item:
            wanted = 'list of strings' if self.type is tuple else self.type.__name__
            raise ConfigError(f"Parameter '{self.name}': received {value!r}, expected a {wanted}.")
        if isinstance(value, (int, float)):
            # Not a number is in no bounds.
            above = self.low is None or value >= self.low
            below = self.high is None or value <= self.high
            if not (above and below):
                allowed = f'{self.bounds} {self.unit}'.rstrip()
                raise ConfigError(f"Parameter '{self.name}': received {value}, expected {allowed}")
        if self.choices and value not in self.choices:
            raise ConfigError(f"Parameter '{self.name}': received '{value}', expected {self.bounds}.")
        return cast(Value, value)

    def parse(self, text: str) -> Value:
        """Return the value that a command line or an environment gives as text, checked; lists are ``a,b``.

        Raises:
            ConfigError: as ``check``.
        """
        value: object = text
        if self.type is tuple:
            value = tuple(item.strip() for item in text.strip('[]').split(',') if item.strip())
        elif self.type is bool:
            value = {'true': True, 'yes': True, 'false': False, 'no': False}.get(text.lower(), text)
        elif self.type is not str:
            with contextlib.suppress(ValueError):
                value = self.type(text)
        return self.check(value)

    @property
    def bounds(self) -> str:
        """The allowed values in words; '' if any."""
        if self.choices:
            return 'one of ' + ', '.join(self.choices)
        if self.low is None and self.high is None:
            return ''
        low = float('-inf') if self.low is None else self.low
        high = float('inf') if self.high is None else self.high
        return f'{low:g} .. {high:g}'


def walk(config: object, prefix: str = '') -> Iterator[Setting]:
    """Yield every setting of a settings dataclass (or instance: then with its values as defaults), depth first."""
    hints = get_type_hints(config if isinstance(config, type) else type(config))
    for f in dataclasses.fields(config):  # type: ignore[arg-type]
        name, kind = f'{prefix}{f.name}', hints[f.name]
        if dataclasses.is_dataclass(kind):
            yield from walk(kind if isinstance(config, type) else getattr(config, f.name), f'{name}.')
            continue
        default = f.default if isinstance(config, type) else getattr(config, f.name)
        leaf: type = tuple if getattr(kind, '__origin__', None) is tuple else kind
        yield Setting(name, leaf, cast(Value, default), **f.metadata)


def build(kind: type[T], values: Mapping[str, object]) -> T:
    """Return settings of ``kind`` from flat dotted names; what is not named keeps its default.

    Raises:
        ConfigError: for an unknown name, a wrong type, or a value out of bounds.
    """
    known = {s.name: s for s in walk(kind)}
    unknown = sorted(set(values) - set(known))
    renamed = {s.former_name: s.name for s in known.values() if s.former_name}
    for name in unknown:
        if name in renamed:
            raise ConfigError(f"Parameter '{name}' is called '{renamed[name]}' now.")
    if unknown:
        raise ConfigError(f"Unknown parameter '{unknown[0]}'.{suggestion(unknown[0], known)}")
    checked = {name: known[name].check(value) for name, value in values.items()}
    return _build(kind, checked, '')


def _build(kind: type[T], values: Mapping[str, Value], prefix: str) -> T:
    hints = get_type_hints(kind)
    arguments = {}
    for f in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = f'{prefix}{f.name}'
        if dataclasses.is_dataclass(hints[f.name]):
            arguments[f.name] = _build(hints[f.name], values, f'{name}.')
        elif name in values:
            arguments[f.name] = values[name]
    return kind(**arguments)


def flatten(tree: Mapping[str, object], prefix: str = '') -> dict[str, object]:
    """Return nested mappings as one with dotted names."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


def to_ros_yaml(config: object, node_name: str, comment: str) -> str:
    """Return a ROS 2 parameter file with every setting, its description, unit and bounds as comments."""
    lines = [f'# {line}'.rstrip() for line in comment.splitlines()] + [f'{node_name}:', '  ros__parameters:']
    open_groups: list[str] = []
    for s in walk(config):
        *groups, leaf = s.name.split('.')
        for depth, group in enumerate(groups):
            if open_groups[depth : depth + 1] != [group]:
                open_groups = [*groups[:depth], group]
                lines.append(f'{"  " * (depth + 2)}{group}:')
        open_groups = groups
        indent = '  ' * (len(groups) + 2)
        extra = ', '.join(part for part in (s.unit, s.bounds, 'at run time too' if s.live else '') if part)
        lines.append(f'{indent}# {s.description}{f" [{extra}]" if extra else ""}')
        value = list(s.default) if isinstance(s.default, tuple) else s.default
        dumped = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix('...\n').strip()
        lines.append(f'{indent}{leaf}: {dumped}')
    return '\n'.join(lines) + '\n'
