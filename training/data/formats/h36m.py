# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Human3.6M in the npz convention of VideoPose3D (Pavllo et al. 2019).

The folder holds `data_3d_h36m.npz` (positions_3d: subject -> action -> (F, 32, 3) m in the world),
`data_2d_h36m_<keypoints>.npz` (positions_2d: subject -> action -> list over cameras of (F, 17, 2) px) and
`cameras.json` (load_rigs' format, rigs `h36m_<subject>` or `<subject>`, cameras in the order of the 2D lists), since
the npz files carry no calibration. These 2D files carry no confidences either: every keypoint gets confidence 1, so
confidence weights have no effect on this data; and the widely used CPN was fine-tuned on the training subjects.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geo_pose_ros.errors import ConfigError

from ..recording import PersonRecording
from ..synthetic import load_rigs

TRAIN = ('S1', 'S5', 'S6', 'S7', 'S8')
TEST = ('S9', 'S11')
FPS = 50.0
# Of Human3.6M's 32 joints, the 17 that move, in body17's order.
_JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)


def load_h36m(folder: Path, *, test: bool, keypoints: str = 'cpn_ft_h36m_dbb') -> list[PersonRecording]:
    """Load the training or the test subjects; ``keypoints`` names the 2D file ('gt' for the projected truth).

    Raises:
        ConfigError: if a file, a subject's rig, or a camera's keypoints are missing or do not fit the 3D.
    """
    positions_3d = _load(folder / 'data_3d_h36m.npz', 'positions_3d')
    positions_2d = _load(folder / f'data_2d_h36m_{keypoints}.npz', 'positions_2d')
    rigs = load_rigs(folder / 'cameras.json')
    recordings = []
    for subject in TEST if test else TRAIN:
        if subject not in positions_2d or subject not in positions_3d:
            continue
        rig = rigs.get(f'h36m_{subject}', rigs.get(subject))
        if rig is None:
            raise ConfigError(f"'{folder}/cameras.json' has no rig 'h36m_{subject}'; it has: {', '.join(rigs)}.")
        for action, views in positions_2d[subject].items():
            if action not in positions_3d[subject]:
                raise ConfigError(f"Human3.6M: {subject} '{action}' has 2D but no 3D; the two files do not match.")
            truth = np.asarray(positions_3d[subject][action], np.float64)
            truth = truth[:, _JOINTS] if truth.shape[1] == 32 else truth
            frames = len(truth)
            if len(views) != len(rig) or min(len(view) for view in views) < frames or views[0].shape[1:] != (17, 2):
                raise ConfigError(
                    f"Human3.6M: {subject} '{action}' has 2D {[v.shape for v in views]} for {len(rig)} cameras and "
                    f'{frames} frames; expected (>= {frames}, 17, 2) per camera.'
                )
            # Videos run a few frames longer than the motion capture.
            xy = np.stack([np.asarray(view[:frames], np.float64) for view in views], 1)
            recordings.append(
                PersonRecording(
                    f'{subject}/{action}', subject, str(action).split(' ')[0], rig, xy, np.ones(xy.shape[:3]), FPS,
                    truth,
                )
            )
    if not recordings:
        raise ConfigError(f"'{folder}' has none of the subjects {TEST if test else TRAIN}.")
    return recordings


def _load(path: Path, key: str) -> dict[str, dict[str, list[np.ndarray]]]:
    if not path.is_file():
        raise ConfigError(f"'{path}' does not exist; prepare Human3.6M as VideoPose3D's DATASETS.md says.")
    with np.load(path, allow_pickle=True) as stored:
        if key not in stored:
            raise ConfigError(f"'{path}' has no array '{key}'; it is not VideoPose3D's file.")
        tree: dict[str, dict[str, list[np.ndarray]]] = stored[key].item()
        return tree
