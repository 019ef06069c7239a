"""Flags that several commands share, and settings as flags."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TypeVar

from ..bags.write import STORAGES
from ..rigs.files import LENGTH_UNITS_M, read_calibration
from ..rigs.settings import CAMERA_INFO_TOPICS, IMAGE_TOPICS, RECTIFIED, RECTIFIED_CHOICES
from ..rigs.topics import CameraChoice
from ..settings import build, walk
from ..types import CameraRig

T = TypeVar('T')
_SETTING = 'setting:'


def add_rig_arguments(
    parser: argparse.ArgumentParser, purpose: str = 'calibration to use instead of camera_info and /tf_static'
) -> None:
    """Add `--rig` and `--unit`, for ``rig_from_arguments``."""
    parser.add_argument('--rig', type=Path, help=purpose)
    add_unit_argument(parser)


def add_unit_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--unit`, for ``read_calibration``."""
    parser.add_argument(
        '--unit', choices=tuple(LENGTH_UNITS_M), default='m',
        help='unit of the translations in a .toml, which does not say it [default: m]',
    )


def add_camera_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which cameras of a bag are used and what they send, for ``choice_from_arguments``."""
    parser.add_argument('--cameras', nargs='+', default=(), metavar='CAMERA', help='use only these')
    parser.add_argument('--image-topics', nargs='+', default=(), metavar='CAMERA=TOPIC', help=IMAGE_TOPICS)
    parser.add_argument('--camera-info-topics', nargs='+', default=(), metavar='CAMERA=TOPIC', help=CAMERA_INFO_TOPICS)
    parser.add_argument('--rectified', choices=RECTIFIED_CHOICES, default='auto', help=RECTIFIED)


def choice_from_arguments(arguments: argparse.Namespace) -> CameraChoice:
    """Return what the flags of ``add_camera_arguments`` choose."""
    return CameraChoice(
        arguments.cameras, arguments.image_topics, arguments.camera_info_topics, arguments.rectified
    )


def rig_from_arguments(arguments: argparse.Namespace) -> CameraRig | None:
    """Return the calibration at `--rig`; None without that flag."""
    return read_calibration(arguments.rig, arguments.unit) if arguments.rig else None


def add_bag_arguments(parser: argparse.ArgumentParser, what: str = 'bag to write') -> None:
    """Add `--out`, `--storage` and `--overwrite`, for ``BagWriter``."""
    parser.add_argument('--out', type=Path, required=True, metavar='BAG', help=what)
    parser.add_argument('--storage', choices=tuple(STORAGES), default='mcap')
    parser.add_argument('--overwrite', action='store_true', help='replace the bag at --out')


def add_settings(parser: argparse.ArgumentParser, kind: type) -> None:
    """Add one flag per setting, ``--group.name``; unset flags are absent from the parsed namespace."""
    for s in walk(kind):
        extra = ', '.join(part for part in (s.unit, s.bounds, f'default {s.default}') if part)
        options: dict[str, Any] = {'type': s.type}
        if s.type is bool:
            options = {'action': argparse.BooleanOptionalAction}
        elif s.type is tuple:
            options = {'nargs': '*', 'type': str}
        parser.add_argument(
            f'--{s.name.replace("_", "-")}', dest=f'{_SETTING}{s.name}', default=argparse.SUPPRESS,
            help=f'{s.description} [{extra}]'.replace('%', '%%'), **options,
        )
        if s.former_name:
            # Taken, so that ``build`` can refuse it with the new name.
            parser.add_argument(f'--{s.former_name.replace("_", "-")}', dest=f'{_SETTING}{s.former_name}', nargs='*',
                                default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def settings_from(kind: type[T], arguments: argparse.Namespace, *others: type) -> T:
    """Return settings of ``kind`` from the flags of ``add_settings``.

    Args:
        kind: settings dataclass.
        arguments: the parsed flags.
        others: settings dataclasses whose flags the command has as well; theirs are left out.

    Raises:
        ConfigError: for values out of bounds.
    """
    foreign = {name for other in others for s in walk(other) for name in (s.name, s.former_name)}
    given = {name.removeprefix(_SETTING): value for name, value in vars(arguments).items() if name.startswith(_SETTING)}
    return build(kind, {name: value for name, value in given.items() if name not in foreign})
