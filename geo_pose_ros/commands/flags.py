# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Flags that several commands share, and settings as flags."""

from __future__ import annotations

import argparse
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..bags.write import STORAGES
from ..errors import ConfigError, GeoPoseError, suggestion
from ..rigs.files import LENGTH_UNITS_M, read_calibration
from ..rigs.settings import CAMERA_INFO_TOPICS, IMAGE_TOPICS, RECTIFIED, RECTIFIED_CHOICES
from ..rigs.topics import CameraChoice
from ..settings import build, walk
from ..types import CameraRig
from .parser import Parser

T = TypeVar('T')
_SETTING = 'setting:'


def add_rig_arguments(parser: Parser, purpose: str = "calibration [default: the bag's own]") -> None:
    """Add `--rig` and `--unit`, for ``rig_from_arguments``."""
    parser.add_argument('--rig', type=existing, metavar='FILE', help=purpose)
    add_unit_argument(parser)


def add_unit_argument(parser: Parser) -> None:
    """Add `--unit`, for ``read_calibration``."""
    parser.add_argument(
        '--unit', choices=tuple(LENGTH_UNITS_M), default='m',
        help='of the translations in a .toml [default: m]',
    )


def add_camera_arguments(parser: Parser) -> None:
    """Add the flags that say which cameras of a bag are used and what they send, for ``choice_from_arguments``."""
    parser.add_argument('--cameras', nargs='+', default=(), metavar='CAMERA', help='use only these')
    parser.add_rare_argument('--image-topics', nargs='+', default=(), metavar='CAMERA=TOPIC', help=IMAGE_TOPICS)
    parser.add_rare_argument(
        '--camera-info-topics', nargs='+', default=(), metavar='CAMERA=TOPIC', help=CAMERA_INFO_TOPICS
    )
    parser.add_rare_argument('--rectified', choices=RECTIFIED_CHOICES, default='auto', help=RECTIFIED)


def choice_from_arguments(arguments: argparse.Namespace) -> CameraChoice:
    """Return what the flags of ``add_camera_arguments`` choose."""
    return CameraChoice(
        arguments.cameras, arguments.image_topics, arguments.camera_info_topics, arguments.rectified
    )


def rig_from_arguments(arguments: argparse.Namespace) -> CameraRig | None:
    """Return the calibration at `--rig`; None without that flag."""
    return read_calibration(arguments.rig, arguments.unit) if arguments.rig else None


def add_bag_arguments(parser: Parser, what: str = 'bag to write') -> None:
    """Add `--out`, `--storage` and `--overwrite`, for ``BagWriter``."""
    parser.add_argument('--out', type=Path, required=True, metavar='BAG', help=what)
    parser.add_argument('--storage', choices=tuple(STORAGES), default='mcap', help='format of the bag [default: mcap]')
    add_overwrite(parser)


def add_overwrite(parser: Parser, what: str = 'what is at --out') -> None:
    """Add `--overwrite`, for ``refuse_existing``."""
    parser.add_argument('--overwrite', action='store_true', help=f'replace {what}')


def existing(text: str) -> Path:
    """Return the path of a file or folder that must be there: the type of an argument.

    Raises:
        GeoPoseError: if it is not, with the name beside it that is nearest.
    """
    path = Path(text)
    if not path.exists():
        beside = (other.name for other in path.parent.iterdir()) if path.parent.is_dir() else ()
        raise GeoPoseError(f"There is no file or folder '{text}'.{suggestion(path.name, beside)}")
    return path


def existing_or_pattern(text: str) -> str:
    """Return the path of a bag, or a pattern as `bags/*`, which must match something; raise GeoPoseError if not."""
    if not glob.has_magic(text):
        return str(existing(text))
    if not glob.glob(text):  # noqa: PTH207 - also absolute patterns, as find_bags takes them
        raise GeoPoseError(f"No file or folder matches '{text}'.")
    return text


def add_settings(parser: Parser, *kinds: type, flags: Sequence[str] = ()) -> None:
    """Add `--set NAME=VALUE` for every setting of ``kinds``, and `--help-settings`.

    Args:
        parser: gets the flags.
        kinds: settings dataclasses.
        flags: names of settings that have a flag of their own too; unset, they are absent from the namespace.
    """
    known = {s.name: s for kind in kinds for s in walk(kind)}
    for s in map(known.__getitem__, flags):
        default = f'default: {s.default}' if s.default not in ((), '') else ''
        extra = ', '.join(part for part in (s.unit, default) if part)
        options: dict[str, Any] = {'type': s.type, 'metavar': (s.unit or s.name.rpartition('_')[2]).upper()}
        if s.type is bool:
            options = {'action': 'store_true'}
        elif s.choices:
            options['choices'] = s.choices
            options['metavar'] = '|'.join(s.choices)
        text = f'{s.description[0].lower()}{s.description[1:]}'
        parser.add_argument(
            f'--{s.name.replace("_", "-")}', dest=f'{_SETTING}{s.name}', default=argparse.SUPPRESS,
            help=f'{text}{f" [{extra}]" if extra else ""}'.replace('%', '%%'), **options,
        )
    parser.add_argument(
        '--set', action='append', default=[], metavar='NAME=VALUE', help='change a setting (repeatable)'
    )
    parser.add_argument(
        '--help-settings', nargs='?', const='', action=_HelpSettings, metavar='NAME', default=argparse.SUPPRESS,
        help='list settings and rare flags; NAME: explain',
    )
    parser.kinds = kinds
    parser.set_defaults(kinds=kinds)


class _HelpSettings(argparse.Action):
    """Print settings and end."""

    def __call__(  # type: ignore[override] # `add_settings` adds it to parsers of this package alone
        self, parser: Parser, _namespace: object, name: str, _flag: object = None
    ) -> None:
        known = {s.name: s for kind in parser.kinds for s in walk(kind)}
        chosen = [s for s in known.values() if name.replace('-', '_') in s.name]
        if not chosen:
            raise ConfigError(f"No setting holds '{name}' in its name.{suggestion(name, known)}")
        if not name:
            print(*(f'{flag}\n    {text}' for flag, text in parser.rare.items()), sep='\n')
        for s in chosen:
            extra = ', '.join(part for part in (s.unit, s.bounds) if part)
            default = ','.join(s.default) if isinstance(s.default, tuple) else s.default
            print(f'{s.name}={default}{f"  [{extra}]" if extra else ""}')
            if name:
                print(f'    {s.description}')
        parser.exit()


def set_values(kind: type, pairs: Sequence[str]) -> dict[str, object]:
    """Return what `--set NAME=VALUE` gives, by name; the text where ``kind`` has no such setting.

    Raises:
        ConfigError: for what is no NAME=VALUE, or an impossible value.
    """
    known = {s.name: s for s in walk(kind)}
    values: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition('=')
        if not equals:
            raise ConfigError(f'--set {pair}: expected NAME=VALUE; --help-settings lists the names.')
        values[name] = known[name].parse(text) if name in known else text
    return values


def settings_from(kind: type[T], arguments: argparse.Namespace) -> T:
    """Return settings of ``kind`` from the flags of ``add_settings``; those of its other kinds are left out.

    Raises:
        ConfigError: for unknown names and values out of bounds.
    """
    foreign = {name for other in set(arguments.kinds) - {kind} for s in walk(other) for name in (s.name, s.former_name)}
    flags = {name.removeprefix(_SETTING): value for name, value in vars(arguments).items() if name.startswith(_SETTING)}
    given = {**set_values(kind, arguments.set), **flags}
    return build(kind, {name: value for name, value in given.items() if name not in foreign})
