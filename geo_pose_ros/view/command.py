"""`geo_pose view`: a recording, or a running node, in 3D in the browser; or a page of it to send to somebody.

The page is served before the recording is opened, so that the browser and this program begin together; therefore what
reads recordings is imported only then.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from ..commands.flags import add_arguments, from_arguments
from ..errors import BagError, ConfigError
from ..rigs.files import add_unit_argument, read_calibration
from .settings import ExportConfig, ViewConfig
from .stage import Stage

if TYPE_CHECKING:
    from ..bags.recording import Recording

_LOG = logging.getLogger(__name__)


def serve(config: ViewConfig) -> Stage:
    """Return a stage on the configured port, and say where it is."""
    stage = Stage(config.host, config.port or 8080, exact_port=config.port != 0)
    print(f'Look at {stage.url}  (Ctrl-C ends)', flush=True)
    if config.browser and not webbrowser.open(stage.url):
        _LOG.warning('No browser could be opened here; open %s in one.', stage.url)
    return stage


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `geo_pose view`."""
    parser = subparsers.add_parser(
        'view', help='a recording or a running node in 3D in the browser', description=__doc__.splitlines()[0]
    )
    parser.add_argument('bags', type=Path, nargs='*', metavar='BAG',
                        help='the recording; several of the same time (results, pictures) are put together')
    parser.add_argument('--live', action='store_true', help='what a running pose_node publishes')
    parser.add_argument('--node', default='/pose_node', help='its name, with --live')
    parser.add_argument('--rig', type=Path, help='calibration instead of camera_info and /tf_static')
    add_unit_argument(parser)
    parser.add_argument('--export', type=Path, metavar='HTML', help='write a page that needs no server, and end')
    add_arguments(parser, ViewConfig)
    add_arguments(parser, ExportConfig)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if arguments.live == bool(arguments.bags):
        received = 'both' if arguments.live else 'neither'
        raise ConfigError(f'geo_pose view takes bags, or --live; received {received}.')
    if arguments.live and arguments.export:
        raise ConfigError('--export takes bags; record the topics with geo_pose record first.')
    given = {name.removeprefix('setting:') for name in vars(arguments) if name.startswith('setting:')}
    config = from_arguments(ViewConfig, _only(arguments, ViewConfig, given))
    rig = read_calibration(arguments.rig, arguments.unit) if arguments.rig else None
    if arguments.live:
        from ..ros.tools.live_view import view_live

        view_live(config, arguments.node, rig)
    elif arguments.export:
        from ..bags.recording import Recording
        from .export import export_page

        with Recording(arguments.bags, rig) as recording:
            _require_messages(recording)
            size = export_page(
                recording, arguments.export, from_arguments(ExportConfig, _only(arguments, ExportConfig, given)))
        print(f'{arguments.export}: {size / 1e6:.1f} MB')
    else:
        for path in arguments.bags:
            if not path.exists():
                raise BagError(f"There is no bag at '{path}'. Give the folder that holds metadata.yaml.")
        with serve(config) as stage, contextlib.suppress(KeyboardInterrupt):
            from ..bags.recording import Recording
            from .viewer import play

            with Recording(arguments.bags, rig) as recording:
                _require_messages(recording)
                play(stage, recording, config, lambda: False)


def _require_messages(recording: Recording) -> None:
    if not recording.end_ns:
        raise BagError(f"'{recording.title}' holds no message; record it again.")


def _only(arguments: argparse.Namespace, kind: type, given: set[str]) -> argparse.Namespace:
    """Return the flags of one settings class alone."""
    own = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    return argparse.Namespace(**{
        f'setting:{name}': getattr(arguments, f'setting:{name}') for name in given & own
    })
