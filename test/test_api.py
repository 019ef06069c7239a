# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The public names: all there, documented, typed, and loaded only when used."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import geo_pose_ros

# A name that leaves this list breaks somebody's program.
NAMES = [
    'BODY17', 'Bodies3D', 'CalibrateTask', 'Camera', 'CameraRig', 'ClockModel', 'Frame', 'FrameSet', 'GeoPoseError',
    'Intrinsics', 'Keypoints2D', 'PipelineConfig', 'PipelineResult', 'PosePipeline', 'Recorded', 'Recording', 'Scene',
    'SceneResult', 'Skeleton', 'calibrate', 'get_skeleton', 'load', 'load_rig', 'process_bag', 'read_calibration',
    'run',
]


@pytest.mark.parametrize('name', NAMES)
def test_a_public_name_is_what_its_module_has_and_is_documented(name):
    public = getattr(geo_pose_ros, name)
    assert public is getattr(importlib.import_module(f'geo_pose_ros.{geo_pose_ros._PUBLIC[name]}'), name)
    assert inspect.getdoc(public)


def test_the_type_checker_sees_the_same_names():
    text = Path(geo_pose_ros.__file__).read_text()
    assert [name for name in NAMES if f'import {name} as {name}\n' not in text] == []
    assert text.count(' as ') == len(NAMES)
    assert (Path(geo_pose_ros.__file__).parent / 'py.typed').exists()
    assert geo_pose_ros.__all__ == NAMES == sorted(geo_pose_ros._PUBLIC) and set(NAMES) < set(dir(geo_pose_ros))


def test_an_unknown_name_is_named_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'PosePipelines'; it has: BODY17, .*PosePipeline"):
        geo_pose_ros.PosePipelines  # noqa: B018


def test_nothing_is_loaded_before_it_is_used():
    loaded = "print('numpy' in sys.modules)"
    code = f'import sys, geo_pose_ros; {loaded}; geo_pose_ros.load_rig; {loaded}'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['False', 'True']
