# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The report of a calibration: what JSON, page and terminal say."""

import json

import numpy as np
import pytest

from geo_pose_ros.calibration.report import as_tree, residual_field, summary_lines, write_report
from geo_pose_ros.errors import CalibrationError

from .walking import errors_as_is


def test_report(refined, tmp_path):
    _, found = refined
    folder = tmp_path / 'deep' / 'report'
    write_report(folder, found, 'A <title>')
    tree = json.loads((folder / 'report.json').read_text())
    assert tree == as_tree(found)
    assert tree['refusal'] == ''
    camera = tree['cameras']['cam1']
    assert camera['before']['left_out_px'] > camera['after']['left_out_px'] > 0.0
    turns, moves = errors_as_is(found.rig, found.given)
    assert (camera['turned_deg'], camera['moved_mm']) == pytest.approx((turns[1], moves[1]), abs=1e-3)
    assert camera['shared_instants'].keys() == {'cam0', 'cam2', 'cam3'}
    page = (folder / 'index.html').read_text()
    assert 'A &lt;title&gt;' in page
    assert 'cam3' in page
    lines = summary_lines(found)
    assert [line.split(':')[0] for line in lines] == ['cam0', 'cam1', 'cam2', 'cam3', 'person 1']
    assert 'hangs on cam' in lines[0]
    thigh_m, was_m = (sizes[0].lengths_m['thigh'] for sizes in (found.sizes, found.sizes_before))
    assert f'thigh {thigh_m:.3f} m (was {was_m:.3f})' in lines[4]
    assert lines[4] in page
    assert tree['sizes_before_m'][0]['thigh'] == pytest.approx(was_m, abs=1e-4)
    for name in ('residuals.png', 'above.png'):
        assert (folder / name).stat().st_size > 5000


def test_report_that_cannot_be_written(refined, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(CalibrationError, match='cannot be written'):
        write_report(tmp_path / 'file' / 'report', refined[1], 'x')


def test_residual_field_is_the_median_by_cell():
    where = np.tile([[10.0, 10.0], [630.0, 470.0]], (5, 1))
    offset = np.tile([[1.0, 2.0], [-3.0, 0.0]], (5, 1))
    centres, field = residual_field(where, offset, 640, 480)
    np.testing.assert_allclose(field, [[1.0, 2.0], [-3.0, 0.0]])
    assert len(centres) == 2
    assert residual_field(where[:4], offset[:4], 640, 480)[0].shape == (0, 2)
