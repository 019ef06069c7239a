# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose view`: a recording, or a running node, in 3D in the browser; or a page of it to send to somebody."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BagError, ConfigError, refuse_existing
from ..findings import Severity, as_lines
from ..view.settings import ExportConfig, ViewConfig
from ..view.stage import serve
from .flags import add_overwrite, add_rig_arguments, add_settings, existing, rig_from_arguments, settings_from
from .parser import Parser

if TYPE_CHECKING:
    from ..bags.recording import Recording
    from ..types import CameraRig

EXAMPLES = (
    'geo_pose view bodies walk',
    'geo_pose view bodies walk --export walk.html',
    'geo_pose view --live',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('bags', type=existing, nargs='*', metavar='BAG',
                        help='the recording; several of the same time (results, images) are put together')
    parser.add_argument('--live', action='store_true', help='what a running pose_node publishes')
    parser.add_argument('--node', default='/pose_node', help='its name, with --live')
    add_rig_arguments(parser)
    parser.add_argument('--export', type=Path, metavar='HTML', help='write a page that needs no server, and end')
    add_overwrite(parser, 'the page at --export')
    add_settings(parser, ViewConfig, ExportConfig, flags=('host', 'port', 'browser'))


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C, or write the page."""
    if arguments.live == bool(arguments.bags):
        received = 'both' if arguments.live else 'neither'
        raise ConfigError(f'geo_pose view takes bags, or --live; received {received}.')
    if arguments.live and arguments.export:
        raise ConfigError('--export takes bags; record the topics with geo_pose record first.')
    config = settings_from(ViewConfig, arguments)
    rig = rig_from_arguments(arguments)
    if arguments.live:
        from ..ros.tools.live_view import view_live

        view_live(config, arguments.node, rig)
    elif arguments.export:
        from ..bags.recording import BODIES
        from ..rigs.plausibility import check_rig
        from ..view.export import export_page
        from ..view.playback import find_missing

        refuse_existing(arguments.export, overwrite=arguments.overwrite)
        with _recording(arguments.bags, rig) as recording:
            size = export_page(recording, arguments.export, settings_from(ExportConfig, arguments))
            of_rig = check_rig(recording.rig) if recording.rig is not None else ()
            # Which way is up, the people on the page show.
            found = [*find_missing(recording, BODIES), *(finding for finding in of_rig if finding.kind != 'up')]
        print(*as_lines(found, least=Severity.WARNING), f'{arguments.export}: {size / 1e6:.1f} MB', sep='\n')
    else:
        # What reads recordings is imported later, so that the browser and this program begin together.
        with serve(config) as stage, contextlib.suppress(KeyboardInterrupt):
            ended = _interrupts()
            from ..view.viewer import play

            with _recording(arguments.bags, rig) as recording:
                play(stage, recording, config, ended.is_set)


def _interrupts() -> threading.Event:
    """Return an event that Ctrl-C sets too: its exception is lost where a callback of an import is running."""
    ended = threading.Event()

    def interrupt(*_: object) -> None:
        ended.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    return ended


@contextlib.contextmanager
def _recording(bags: list[Path], rig: CameraRig | None) -> Iterator[Recording]:
    from ..bags.recording import Recording

    with Recording(bags, rig) as recording:
        if not recording.end_ns:
            raise BagError(f"'{recording.title}' holds no message; record it again.")
        yield recording
