# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a running node says of a rig that cannot be right: on the console and in /diagnostics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.nodes.rig_source import CameraSet, RigSource
from geo_pose_ros.ros.settings import NodeConfig
from test.ros.harness import RIG, Cameras, Console, small_rig, world


def exchange(cameras: Cameras) -> None:
    cameras.xy['cam0'], cameras.xy['cam1'] = cameras.xy['cam1'], cameras.xy['cam0']


def test_exchanged_cameras_are_named_while_the_node_runs(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path, before_start=exchange) as w:
        console = Console(w)
        words = 'cam0 and cam1 look exchanged'
        console.says('rig: 4 cameras see people in', words)
        assert w.reported('rig', words).level == w.reported('verdict', words).level == b'\x02'


def test_a_node_refuses_a_rig_file_in_millimetres(tmp_path: Path) -> None:
    far = small_rig().with_poses(lambda pose: pose * (1.0, 1.0, 1.0, 1e3))
    path = tmp_path / 'mm.yaml'
    path.write_text(dump_rig(far), encoding='utf-8')
    with world('keypoints', autostart=False) as w:
        config = replace(NodeConfig(), cameras=RIG.names, rig=str(path), transport='keypoints')
        cameras = CameraSet.of(w.node, config)
        with pytest.raises(CalibrationError, match='it looks like mm'):
            RigSource(w.node, cameras, config, lambda problem: None)
