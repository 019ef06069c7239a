"""`geo_pose process`: run the pipeline over every frame of a bag, without ROS.

Exit status: 0 the result is good, also with warnings; 1 it is bad; 2 the bag cannot be processed, or one of several;
3 the cameras see people, but their rays do not meet. The result is written with 0, 1 and 3.
"""

from __future__ import annotations

import argparse
import glob
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..bags.fleet import Job, find_bags, jobs_for, process_fleet
from ..bags.process import ProcessConfig, process_bag
from ..detection.models.profiles import choose_profile
from ..findings import Severity, as_lines
from .flags import add_bag_arguments, add_rig_arguments, add_settings, rig_from_arguments, settings_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('bag', nargs='+', help="bags, or patterns as 'bags/*.mcap': then --out is a folder of results")
    add_bag_arguments(parser, 'bag to write, or folder for several')
    parser.add_argument('--workers', type=int, default=0, help='processes for several bags [default: one per core]')
    parser.add_argument('--scheduler', default='', help='Dask scheduler (tcp://...) for several bags')
    add_rig_arguments(parser)
    add_settings(parser, ProcessConfig)


def run(arguments: argparse.Namespace) -> int:
    """Process one bag or several; return the exit status."""
    config = settings_from(ProcessConfig, arguments)
    detector, words = choose_profile(config.pipeline.detector)
    config = replace(config, pipeline=replace(config.pipeline, detector=detector))
    print(words)
    rig = rig_from_arguments(arguments)
    if len(arguments.bag) > 1 or glob.has_magic(arguments.bag[0]) or arguments.scheduler:
        def make(bag: Path, out: Path) -> Job:
            return Job(bag, out, config, rig, arguments.storage)

        failed = process_fleet(
            jobs_for(find_bags(arguments.bag), arguments.out, make), arguments.out,
            workers=arguments.workers, scheduler=arguments.scheduler, show=partial(print, flush=True),
        )
        return 2 if failed else 0
    summary = process_bag(
        Path(arguments.bag[0]), arguments.out, config=config, rig=rig, storage=arguments.storage,
        overwrite=arguments.overwrite,
    )
    print(f'{arguments.out}: {summary}')
    found = summary.verdict.findings
    print('\n'.join(as_lines(found, least=Severity.WARNING)) or '\n'.join(as_lines(found)))
    return summary.verdict.exit_status
