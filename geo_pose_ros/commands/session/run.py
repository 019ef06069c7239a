# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose run`: from videos to tables, marker files and a report, in one command.

A geo_pose.yaml beside the videos may hold calibration, stature_m, formats and settings. Several folders: each gets a
session in --out, with one overview page; what is done is not done again. Exit status: 0; 2 if something failed.
"""

from __future__ import annotations

import argparse
import glob
from functools import partial
from pathlib import Path

from ...bags.fleet import find_bags, jobs_for, process_fleet
from ...bags.process import ProcessConfig
from ...export.formats import parse_formats
from ...page import render
from ...session.folder import EXPORT, REPORT
from ...session.run import find_task, run_task
from ..flags import add_settings, existing, existing_or_pattern, set_values
from ..parser import Parser

EXAMPLES = (
    'geo_pose run cam1.mp4 cam2.mp4 --calibration calibration.toml --out session',
    'geo_pose run folder --from-scratch --stature 1.75',
    "geo_pose run 'recordings/*'",
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        'videos', type=existing_or_pattern, nargs='+', metavar='VIDEOS',
        help="one per camera, or a folder; folders: 'a/*'",
    )
    parser.add_argument(
        '--calibration', type=existing, metavar='FILE', help='of the cameras: .toml, .yaml, .qca.txt, ...'
    )
    parser.add_argument('--from-scratch', action='store_true', default=None, help='find the cameras from the people')
    parser.add_argument('--stature', type=float, metavar='M', help='with --from-scratch: height of the person, m')
    parser.add_argument('--out', type=Path, metavar='FOLDER', help='session to write [default: session, by the videos]')
    parser.add_argument('--to', metavar='FORMATS', help='files to export [default: csv,trc]')
    add_settings(parser, ProcessConfig)
    parser.add_argument('--workers', type=int, default=1, metavar='N', help='sessions at a time [default: 1]')


def run(arguments: argparse.Namespace) -> int:
    """Make one session or several; return the exit status."""
    given = {
        'calibration': arguments.calibration, 'from_scratch': arguments.from_scratch, 'stature_m': arguments.stature,
        'formats': None if arguments.to is None else parse_formats(arguments.to),
        'settings': set_values(ProcessConfig, arguments.set) or None,
    }
    if glob.has_magic(arguments.videos[0]) or (len(arguments.videos) > 1 and Path(arguments.videos[0]).is_dir()):
        return _run_many(arguments, given)
    task = find_task([Path(video) for video in arguments.videos], arguments.out, **given)
    outcome = task.done() or run_task(task, partial(print, flush=True))
    print(f'\n{outcome.headline}\n  {task.out / REPORT}   is it good?\n  {task.out / EXPORT}   the files\n'
          f'Look at it: geo_pose view {task.out}/processed {task.out}/images')
    return 0


def _run_many(arguments: argparse.Namespace, given: dict[str, object]) -> int:
    folders = [path for path in find_bags(arguments.videos) if path.is_dir()]
    out = arguments.out or Path('sessions')

    jobs = jobs_for(folders, out, lambda folder, session: find_task([folder], session, **given))
    outcomes = process_fleet(jobs, out, workers=arguments.workers)
    failed = sum(bool(outcome.error) for outcome in outcomes)
    lead = f'{len(jobs)} sessions, {failed} failed'
    page = render(
        'sessions.html.j2', title='Sessions', lead=lead, made_by='geo_pose run', sessions=outcomes, report=REPORT
    )
    (out / 'index.html').write_text(page, encoding='utf-8')
    print(out / 'index.html')
    return 2 if failed else 0
