# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where cameras saw people, and the advice that follows."""

import numpy as np
import pytest

from geo_pose_ros.assistant.coverage import COLUMNS, ENOUGH_SETS, ENOUGH_SHARED, ROWS, Coverage
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D

from ..scenes import ring_rig

RIG = ring_rig(2)


def person(camera, left, height_px=200.0):
    """A person whose joints are at one column, ``left`` of the width, from the top downwards."""
    xy = np.full((1, 17, 2), left * RIG[camera].intrinsics.width)
    xy[0, :, 1] = np.linspace(0.0, height_px, 17)
    return Keypoints2D(camera, 0, BODY17, xy, np.ones((1, 17)))


def covered(*sets):
    coverage = Coverage(RIG)
    for cameras in sets:
        coverage.add({camera: person(camera, *how) for camera, how in cameras.items()})
    return coverage


def test_a_cell_is_covered_once_enough_sets_saw_somebody_in_it():
    share = covered(*[{'cam0': (0.05,)}] * (ENOUGH_SETS // 2)).of('cam0')
    assert share.shape == (ROWS, COLUMNS) and share[0, 0] == 0.5 and share[:, 1:].max() == 0.0


FULL = [dict.fromkeys(('cam0', 'cam1'), (left, tall)) for left in (0.1, 0.5, 0.9) for tall in (150.0, 400.0)
        for _ in range(ENOUGH_SHARED // 4)]


@pytest.mark.parametrize(('sets', 'says'), [
    ([], ['camera cam0: it saw nobody yet. Walk before it.', 'camera cam1: it saw nobody yet. Walk before it.']),
    (FULL, []),
    ([{name: how for name, how in one.items() if name == 'cam0'} for one in FULL],
     ['camera cam0: it saw somebody together with another camera in 0 sets of 50. Walk where both look.',
      'camera cam1: it saw nobody yet. Walk before it.']),
    ([one for one in FULL if one['cam0'][0] < 0.8] * 2,
     [f'camera cam{n}: it saw nobody on the right of its image. Walk there too.' for n in (0, 1)]),
    ([{c: (left, 300.0) for c, (left, _) in one.items()} for one in FULL],
     [f'camera cam{n}: it saw people at one distance. Walk towards it and away.' for n in (0, 1)]),
], ids=['nothing', 'all', 'alone', 'no right side', 'one distance'])
def test_advice_says_where_to_walk(sets, says):
    assert [finding.in_words for finding in covered(*sets).findings()] == says
