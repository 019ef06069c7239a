# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The processes of a live run, with small programs in their stead."""

import re
import sys

import pytest

from geo_pose_ros.demo import live, run
from geo_pose_ros.demo.live import Material
from geo_pose_ros.errors import BagError

from ..scenes import ring_rig

WAITS = 'import signal; signal.pause()'
PLAYS = """
import sys, time
time.sleep(0.5)
# The demo may run again.
assert "--overwrite" in sys.argv
open(sys.argv[sys.argv.index("--report") + 1], "w").write('{"loop_ns": 7}')
"""


@pytest.fixture
def run_with(tmp_path, monkeypatch):
    """Run live, with programs for some of the commands; the others wait."""
    def call(programs, **options):
        def geo_pose(command):
            return [sys.executable, '-c', programs.get(command, WAITS), command]

        for module in (live, run):
            monkeypatch.setattr(module, 'geo_pose', geo_pose)
        monkeypatch.setattr(run, '_LAST_DIAGNOSTICS_S', 0.0)
        material = Material(tmp_path, ring_rig(2), ('/cam0/image_raw/compressed',), 0)
        return run.run_live(tmp_path, material, 12, **options)

    return call


@pytest.mark.parametrize(
    ('programs', 'words'),
    [
        ({'node': 'raise SystemExit("rig is wrong")'}, r'pose_node ended with status 1: rig is wrong \(all of it in '),
        ({'play': 'raise SystemExit("no such bag")'}, 'play ended with status 1: no such bag'),
        ({'view': 'raise SystemExit("viser is missing")'}, r'view did not start: viser is missing \(all of it in '),
    ],
    ids=['node', 'play', 'view'],
)
def test_a_part_that_ends_early_is_named_with_its_last_words(run_with, programs, words):
    with pytest.raises(BagError, match=words):
        run_with(programs, view='view' in programs)


def test_the_viewer_says_where_it_is_and_ends_with_the_demo(run_with, tmp_path, capsys):
    viewer = f'import os, sys; print("Look at http://x:1", os.getpid(), sys.argv[2:], flush=True); {WAITS}'
    assert run_with({'play': PLAYS, 'view': viewer}, view=True) == {'loop_ns': 7, 'loops': 12, 'url': 'http://x:1'}
    said = capsys.readouterr().out
    assert '--live' in said and f'{tmp_path / "rig.yaml"}' in said
    with pytest.raises(ProcessLookupError):
        live.os.kill(int(re.search(r'http://x:1 (\d+)', said)[1]), 0)
