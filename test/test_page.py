# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Pages: what is in them, that text is escaped, and that nothing points outside."""

import base64
import re

import cv2
import numpy as np
import pytest

from geo_pose_ros import page
from geo_pose_ros.errors import ShapeError
from geo_pose_ros.findings import Finding, Severity


def outside(html):
    """Return whatever in a page makes a browser ask somebody else."""
    return re.findall(r'(?:src|href)="(?!data:|#)[^"]*"|url\((?!#)[^)]*\)|@import|<script|<link', html)


def test_a_page_has_its_parts_and_escapes_text():
    found = [Finding(Severity.ERROR, 'bad <thing>', 'do "this"'), Finding(Severity.OK, 'fine')]
    html = page.render(
        'calibration.html.j2', title='A <b> title', lead='lead & more', made_by='a test', found=found,
        numbers=[('3 px', 'error')], rows=[('a<b', *'0123456789')], sizes=['thigh <40 cm>'],
        residuals=b'\x89PNG', above=b'<', arrow_scale=5.0,
    )
    assert '<title>A &lt;b&gt; title</title>' in html and '<p class="lead">lead &amp; more</p>' in html
    assert re.findall('<h2>(.*?)</h2>', html) == ['In short', 'Cameras', 'People', 'Residuals', 'From above']
    assert re.findall('<li class="(.*?)".*?>(.)</span>', html) == [('bad', '×'), ('good', '✓')]
    assert '<div>bad &lt;thing&gt;<div class="remedy">do &#34;this&#34;</div></div>' in html
    assert '<div>fine</div>' in html and '<b>3 px</b><span>error</span>' in html
    assert '<li>thigh &lt;40 cm&gt;</li>' in html
    assert '<td>a&lt;b</td><td>0</td>' in html and '<td class="wide">9</td>' in html
    assert f'<img src="data:image/png;base64,{base64.b64encode(bytes([0x89]) + b"PNG").decode()}"' in html
    assert 'Made by a test.' in html and '5 times as long' in html
    assert outside(html) == [] and "default-src 'none'" in html
    assert 'color-scheme: light dark' in html


def test_outside_rejects():
    assert outside('<img src="https://example.org/x.png"><script>') == ['src="https://example.org/x.png"', '<script']


def test_images_are_inside_the_page():
    image = np.full((20, 30, 3), (10, 120, 240), np.uint8)
    data = base64.b64decode(page.jpeg(image).removeprefix('data:image/jpeg;base64,'))
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == image.shape and np.abs(back.astype(int) - image).max() < 12
    for wrong in (np.zeros((0, 0, 3), np.uint8), np.zeros((4, 4, 2), np.uint8)):
        with pytest.raises(ShapeError, match='jpeg: '):
            page.jpeg(wrong)


@pytest.mark.parametrize(
    ('seconds', 'words'), [(0.0, '0.0 s'), (9.94, '9.9 s'), (65.0, '1:05'), (3_725.0, '1:02:05'), (600.0, '10:00')]
)
def test_clock(seconds, words):
    assert page.clock(seconds) == words


def test_what_is_not_known_is_a_dash():
    assert (page.number(1.25), page.number(0.256, '.0%')) == ('1.2', '26%')
    assert page.number(float('nan')) == page.number(float('inf'), '.0%') == '-'
