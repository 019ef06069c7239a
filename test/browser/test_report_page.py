# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The report in a browser: readable at the size of a desk and of a phone, light and dark, without any request."""

import pytest

from geo_pose_ros.view.report import write_report

from ..evaluation.moving import write_walk
from .conftest import pixels


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp('report')
    shift = lambda name, number: (14.0, 0.0) if name == 'cam2' and number >= 150 else (0.0, 0.0)  # noqa: E731
    write_walk(folder / 'walk', sets=240, people=2, images=True, shift=shift)
    write_report([folder / 'walk'], folder / 'report.html')
    return f'file://{folder / "report.html"}'


@pytest.mark.parametrize(('width', 'name'), [(1280, 'desk'), (390, 'phone')])
def test_it_is_readable(watch, report, width, name):
    seen = watch(report, width, 800)
    assert seen.page.title() == 'Recording walk'
    assert 'camera cam2: is off by 73 mm (14 px)' in seen.page.inner_text('ul.findings')
    # Nothing is wider than the window: tables and charts scroll in themselves.
    assert seen.page.evaluate('document.documentElement.scrollWidth') <= width
    charts = seen.page.query_selector_all('.chart svg')
    assert len(charts) >= 8
    assert all(chart.bounding_box()['height'] > 20 for chart in charts)
    assert seen.page.evaluate('[...document.images].every(i => i.complete && i.naturalWidth > 0)')
    seen.shot(f'report-{name}')


def test_dark(watch, report):
    light = watch(report)
    bright = pixels(light.shot('report-light')).mean()
    light.page.emulate_media(color_scheme='dark')
    assert pixels(light.shot('report-dark')).mean() < 0.4 * bright
