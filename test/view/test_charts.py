# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Charts: what is drawn lies where the numbers say, in the page's colours."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from geo_pose_ros.evaluation.report import ResidualField, Series
from geo_pose_ros.view import charts

from ..test_page import outside

SVG = '{http://www.w3.org/2000/svg}'
FIRST = charts.style_of(0)[0]


def series(*values):
    return Series(np.arange(len(values)) + 0.5, np.array(values, float))


def drawn_in(chart, tag, colour):
    """Return the elements of a tag whose style has a colour; older matplotlib writes no space before it."""
    elements = ET.fromstring(chart.svg).iter(f'{SVG}{tag}')
    return [element for element in elements if colour in element.get('style', '').replace(': ', ':')]


def points(chart, colour):
    """Return the corners (N, 2) of each path that is drawn in a colour; y grows downwards."""
    paths = [path.get('d', '') for path in drawn_in(chart, 'path', colour)]
    return [np.array(re.findall(r'-?\d+(?:\.\d+)?', path), float).reshape(-1, 2) for path in paths if path]


def widths(chart, colour):
    return [np.ptp(corners[:, 0]) for corners in points(chart, colour)]


def test_lines_draw_every_series_and_name_it():
    chart = charts.lines({'cam1': series(1, 2, 3), 'cam2': series(2, np.nan, 2)}, unit='px', duration_s=3.0,
                         shaded=[(1.0, 2.0)])
    [line] = points(chart, FIRST)
    [stretch] = widths(chart, 'fill:#d1495b')
    # A second is as wide as that which is shaded.
    np.testing.assert_allclose(np.diff(line[:, 0]), stretch, rtol=1e-3)
    assert line[0, 1] - line[1, 1] == pytest.approx(line[1, 1] - line[2, 1], rel=1e-3) and line[0, 1] > line[2, 1]
    assert [key[:2] for key in chart.legend] == [('cam1', FIRST), ('cam2', charts.style_of(1)[0])]
    assert charts.lines({'cam1': series(1, 2)}, unit='px', duration_s=2.0).legend == ()
    assert outside(chart.svg) == [] and drawn_in(chart, 'text', 'fill:#010204')

    dot = charts.lines({'a': series(np.nan, 2.0, np.nan)}, unit='px', duration_s=3.0)
    assert len(drawn_in(dot, 'use', f'stroke:{FIRST}')) == 1
    nothing = charts.lines({'a': series(np.nan)}, unit='px', duration_s=0.0)
    assert not [corners for corners in points(nothing, f'stroke:{FIRST}') if len(corners)] and 'px' in nothing.svg


def test_charts_are_the_same_every_time_and_do_not_share_ids():
    first, again, other = (charts.lines({'a': series(1, n)}, unit='px', duration_s=2.0).svg for n in (2, 2, 3))
    assert first == again
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, other)]
    assert ids[0] and not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', first)) <= ids[0]


def test_bars_are_as_long_as_their_times_and_shares():
    long, short = widths(charts.spans({'id 1': [(0.0, 1.0), (2.0, 2.0)]}, duration_s=4.0), FIRST)
    # A glimpse has a width too.
    assert short / long == pytest.approx(4.0 / 400.0, rel=1e-3)
    chart = charts.shares(('knee', 'hip'), np.array([[0.25, 0.75], [0.0, 1.0]]), ('0 views', '1 view'))
    whole = widths(chart, FIRST)
    np.testing.assert_allclose(np.array(whole) / max(whole), [0.25, 0.0, 0.75, 1.0], atol=1e-3)
    assert 'knee' in chart.svg and chart.legend == (('0 views', FIRST, 0.15), ('1 view', FIRST, 1.0))


def test_an_arrow_points_the_way_of_its_residual_from_the_middle_of_its_cell():
    mean = np.full((3, 4, 2), np.nan)
    mean[1, 1] = 3.0, -4.0
    size = np.where(np.isfinite(mean[..., 0]), 5.0, np.nan)
    chart = charts.arrows(ResidualField(mean, size, np.zeros((3, 4), np.int64)), 640, 480, darkest_px=5.0)
    [arrow] = points(chart, '#010203')
    # The darkest of the colour map.
    [cell] = points(chart, '#800026')
    reach = arrow - (cell.min(0) + cell.max(0)) / 2.0
    tip = reach[np.linalg.norm(reach, axis=1).argmax()]
    np.testing.assert_allclose(tip / np.linalg.norm(tip), (0.6, -0.8), atol=0.01)
    # The longest arrow is a cell and a half.
    assert np.linalg.norm(tip) == pytest.approx(1.5 * np.ptp(cell[:, 0]), rel=0.02)
