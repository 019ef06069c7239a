"""Pages and charts: what is in them, that text is escaped, and that nothing points outside."""

import base64
import re
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from geo_pose_ros import page
from geo_pose_ros.errors import ShapeError
from geo_pose_ros.evaluation.report import PictureField, Series
from geo_pose_ros.page import Page, Verdict
from geo_pose_ros.view import charts
from geo_pose_ros.view.tables import clock


def outside(html):
    """Return whatever in a page makes a browser ask somebody else."""
    return re.findall(r'(?:src|href)="(?!data:|#)[^"]*"|url\((?!#)[^)]*\)|@import|<script|<link', html)


def svg_of(html):
    return ET.fromstring(re.search(r'<svg.*</svg>', html, re.DOTALL)[0].replace('xlink:', ''))


def test_a_page_has_its_sections_in_order_and_escapes_text():
    made = Page('A <b> title', 'lead & more')
    made.section('First', page.text('1 < 2'), page.verdicts([Verdict(2, 'bad <thing>', 'do "this"'), Verdict(0, 'ok')]))
    made.section('Empty')
    made.section('Second', page.table(('name', 'px'), [('a<b', '1.0')], wide=(1,)), page.tiles([('3 px', 'error')]))
    html = made.html('the end')
    assert '<title>A &lt;b&gt; title</title>' in html and 'lead &amp; more' in html
    assert html.index('<h2>First') < html.index('<h2>Second') and 'Empty' not in html
    assert '<li class="bad">' in html and 'bad &lt;thing&gt;' in html and 'do &quot;this&quot;' in html
    assert '<li class="good">' in html and '<td class="wide">1.0</td>' in html and 'a&lt;b' in html
    assert 'the end' in html and outside(html) == []
    assert 'default-src \'none\'' in html


def test_outside_rejects():
    assert outside('<img src="https://example.org/x.png"><script>') == ['src="https://example.org/x.png"', '<script']


def test_table_rejects_a_row_of_another_length():
    with pytest.raises(ShapeError, match='row of 1 cells, expected 2'):
        page.table(('a', 'b'), [('only',)])


def test_pictures_are_inside_the_page():
    image = np.full((20, 30, 3), (10, 120, 240), np.uint8)
    html = page.figure(page.picture(image, 'a "view"'), 'caption')
    data = base64.b64decode(re.search(r'base64,([^"]+)', html)[1])
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == image.shape and np.abs(back.astype(int) - image).max() < 12
    assert 'alt="a &quot;view&quot;"' in html and '<figcaption>caption</figcaption>' in html
    for wrong in (np.zeros((0, 0, 3), np.uint8), np.zeros((4, 4, 2), np.uint8)):
        with pytest.raises(ShapeError, match='picture: '):
            page.picture(wrong, '')


def series(*values):
    return Series(np.arange(len(values)) + 0.5, np.array(values, float))


def test_lines_draw_every_series_and_name_it():
    html = charts.lines({'cam<1>': series(1, 2, 3), 'cam2': series(2, np.nan, 2)}, unit='px', duration_s=3.0,
                        shaded=[(1.0, 2.0)])
    assert outside(html) == []
    root = svg_of(html)
    strokes = [path.get('style', '') for path in root.iter('{http://www.w3.org/2000/svg}path')]
    for index in range(2):
        assert sum(charts.style_of(index)[0] in style for style in strokes) >= 1
    assert 'cam&lt;1&gt;' in html and 'cam<1>' not in html
    assert 'var(--soft)' in html and '#010204' not in html


def test_one_point_is_a_dot_and_nothing_is_an_empty_chart():
    assert '<use' in charts.lines({'a': series(np.nan, 2.0, np.nan)}, unit='px', duration_s=3.0)
    svg_of(charts.lines({'a': series(np.nan)}, unit='px', duration_s=0.0))


def test_charts_are_the_same_every_time_and_do_not_share_ids():
    first, again, other = (charts.lines({'a': series(1, n)}, unit='px', duration_s=2.0) for n in (2, 2, 3))
    assert first == again
    ids = [set(re.findall(r' id="([^"]+)"', html)) for html in (first, other)]
    assert ids[0] and not ids[0] & ids[1]


def test_spans_and_shares_and_arrows():
    assert svg_of(charts.spans({'id 1': [(0.0, 1.0), (2.0, 2.0)]}, duration_s=4.0)) is not None
    html = charts.shares(('knee', 'hip'), np.array([[0.5, 0.5], [0.0, 1.0]]), ('0 views', '1 view'))
    assert 'knee' in html and '1 view' in html
    mean = np.full((3, 4, 2), np.nan)
    mean[1, 1] = 3.0, -4.0
    size = np.full((3, 4), np.nan)
    size[1, 1] = 5.0
    svg_of(charts.arrows(PictureField(mean, size, np.zeros((3, 4), np.int64)), 640, 480, longest_px=5.0))


@pytest.mark.parametrize(
    ('seconds', 'words'), [(0.0, '0.0 s'), (9.94, '9.9 s'), (65.0, '1:05'), (3_725.0, '1:02:05'), (600.0, '10:00')]
)
def test_clock(seconds, words):
    assert clock(seconds) == words


def test_drawings_and_kept_lines():
    assert page.drawing(b'\x89PNG', 'a <plot>') == (
        f'<img src="data:image/png;base64,{base64.b64encode(bytes([0x89]) + b"PNG").decode()}" alt="a &lt;plot&gt;">')
    assert page.preformatted('{\n "a": "<b>"}') == '<pre>{\n &quot;a&quot;: &quot;&lt;b&gt;&quot;}</pre>'
