# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose`: one command line over all parts.

Only the module of the command that was asked for is imported, so that help is fast and neither rclpy nor torch is
needed for what does not use them; see ``commands``.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from . import __version__
from .commands.parser import Parser
from .errors import GeoPoseError
from .ros.start import end_quietly

# As ros/__init__.py does for the node, and for its reason; no command has loaded numpy yet.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

NODE = 'geo_pose_ros.ros.nodes.pose_node'
# `models export`: of a training run, and of an ONNX file, which needs no torch.
_EXPORT_RUN, _EXPORT_ONNX = 'geo_pose_training.commands.export', 'geo_pose_ros.commands.networks.export_engine'

# Command -> its module, and one line of help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    'demo': ('geo_pose_ros.commands.demo', 'the whole way on real footage'),
    'loop': ('geo_pose_ros.commands.loop', 'real footage, live: record, retrain, redeploy, measure again'),
    'run': ('geo_pose_ros.commands.session.run', 'from videos to tables, marker files and a report'),
    'node': (NODE, 'run pose_node, with ROS arguments as of ros2 run'),
    'import': ('geo_pose_ros.commands.import_videos', 'make a bag from videos and a calibration'),
    'process': ('geo_pose_ros.commands.process', 'run the pipeline over every frame of a bag, without ROS'),
    'info': ('geo_pose_ros.commands.info', 'say what a bag holds'),
    'check': ('geo_pose_ros.commands.machine.check', 'say what this installation lacks'),
    'export': ('geo_pose_ros.commands.session.export', 'write what was found as CSV, TRC, C3D, BVH, GLB or MP4'),
    'view': ('geo_pose_ros.commands.view', 'a recording or a running node in 3D in the browser'),
    'report': ('geo_pose_ros.commands.report', 'one page that says whether a recording is good, and what to do'),
    'play': ('geo_pose_ros.commands.live.play', 'publish a bag in real time'),
    'record': ('geo_pose_ros.commands.live.record', 'record topics into a bag'),
    'reload': ('geo_pose_ros.commands.live.reload', 'give a running node another lifter'),
    'calibrate': ('geo_pose_ros.commands.calibrate', 'calibrate the cameras from people walking before them'),
    'monitor': ('geo_pose_ros.commands.live.monitor', 'a live table of a running node'),
    'doctor': ('geo_pose_ros.commands.machine.doctor', 'check machine, ROS set-up and rig, with remedies'),
    'models': ('geo_pose_ros.commands.networks.models', 'networks: list and fetch detectors, export a trained lifter'),
    'rig': ('geo_pose_ros.commands.rig', 'convert calibration files'),
    'train': ('geo_pose_training.commands.train', 'train a lifter'),
    'evaluate': ('geo_pose_training.commands.evaluate', 'measure a lifter'),
    'retrain': ('geo_pose_training.commands.retrain', 'adapt a lifter to recorded bags'),
    'store': ('geo_pose_training.commands.store', 'keep what training needs of many bags, to stream from'),
    'completion': ('geo_pose_ros.commands.machine.completion', 'print a script that completes commands in your shell'),
    'fit-noise': ('geo_pose_training.commands.fit_noise', "estimate a detector's noise from bags"),
}

# Package that may be absent -> how to get it; for all others pip.
_REMEDIES: Mapping[str, str] = {
    'torch': 'Install PyTorch: python3 -m pip install torch '
             '(without a GPU add --index-url https://download.pytorch.org/whl/cpu).',
    'geo_pose_training': 'Install geo_pose_ros from its source tree: python3 -m pip install .',
    'rclpy': 'Source ROS 2 (. /opt/ros/$ROS_DISTRO/setup.sh), or install its wheels: '
             'python3 -m pip install -r requirements/runtime.txt',
}

# Module -> what PyPI calls it, where that differs.
_DISTRIBUTIONS: Mapping[str, str] = {'cv2': 'opencv-python-headless', 'PIL': 'pillow', 'yaml': 'PyYAML'}

# As shells count them: 128 and the number of the signal.
_INTERRUPTED, _PIPE_CLOSED = 130, 141
# What was asked for cannot be done; argparse ends with the same.
_CANNOT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run `geo_pose`; return the exit status: the command's, 2 if it cannot, 130 after Ctrl-C, 141 at a closed pipe."""
    logging.basicConfig(format='%(levelname)s: %(message)s', level=logging.WARNING)
    words = list(sys.argv[1:] if argv is None else argv)
    debug = '--debug' in words
    try:
        status = _run([word for word in words if word != '--debug'])
        # What a closed pipe refuses is to be refused here, not at exit.
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # `| head` has read enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except (GeoPoseError, ModuleNotFoundError, KeyboardInterrupt) as error:
        if debug or (isinstance(error, ModuleNotFoundError) and _package(error) == __package__):
            raise
        if isinstance(error, KeyboardInterrupt):
            print('geo_pose: interrupted', file=sys.stderr)
            return _INTERRUPTED
        print(f'geo_pose: {_missing(error) if isinstance(error, ModuleNotFoundError) else error}', file=sys.stderr)
        return _CANNOT


def _run(words: Sequence[str]) -> int:
    parser = parser_for(words)
    arguments, unknown = parser.parse_known_args(words)
    run: Callable[[argparse.Namespace], int | None] | None = arguments.run
    if run is None:
        end_quietly()
        return import_module(NODE).main([NODE, *unknown]) or 0
    if unknown:
        parser.error(f'unrecognized arguments: {" ".join(unknown)}')
    return run(arguments) or 0


def parser_for(words: Sequence[str]) -> Parser:
    """Return the parser, complete for the command among ``words``, with one line of help for the others."""
    parser = Parser(
        prog='geo_pose', description='Calibrated cameras in, 3D human skeletons out.',
        epilog='Status at the end: 0 good, 1 the result is bad, 2 it cannot be done, 3 the rays of the cameras do not '
        'meet, 130 interrupted. geo_pose COMMAND --help says more.',
    )
    parser.add_argument('--version', action='version', version=f'geo_pose {__version__}')
    parser.add_argument('--debug', action='store_true', help='show where an error came from')
    subparsers = parser.add_subparsers(required=True, metavar='COMMAND')
    command = next((word for word in words if not word.startswith('-')), '')
    for name, (module, line) in COMMANDS.items():
        if name != command:
            subparsers.add_parser(name, help=line)
        elif module == NODE:
            # It parses its arguments itself, as rclpy does.
            node = subparsers.add_parser(name, help=line, usage='geo_pose node [--ros-args ...]')
            node.takes_all = True
            node.set_defaults(run=None)
        elif words[:2] == ['models', 'export']:
            actions = subparsers.add_parser(name, help=line).add_subparsers(required=True)
            from_onnx = any(word.endswith('.onnx') for word in words[2:3])
            add_command(actions, 'export', _EXPORT_ONNX if from_onnx else _EXPORT_RUN)
        else:
            add_command(subparsers, name, module)
    return parser


def add_command(subparsers: argparse._SubParsersAction[Parser], name: str, module_name: str) -> None:
    """Add the complete parser of a command."""
    module = import_module(module_name)
    parser = subparsers.add_parser(name, help=COMMANDS[name][1], description=module.__doc__)
    parser.examples = getattr(module, 'EXAMPLES', ())
    parser.set_defaults(run=module.run, commands=[(known, path) for known, (path, _) in COMMANDS.items()])
    module.add_arguments(parser)
    parser.finish()


def _package(error: ModuleNotFoundError) -> str:
    """Return the package that is missing."""
    return (error.name or '').split('.')[0] or __package__


def _missing(error: ModuleNotFoundError) -> str:
    """Return which package is missing and how to get it."""
    package = _package(error)
    remedy = _REMEDIES.get(package, f'Install it: python3 -m pip install {_DISTRIBUTIONS.get(package, package)}')
    return f"This needs the Python package '{package}', which is not installed. {remedy}"


if __name__ == '__main__':
    sys.exit(main())
