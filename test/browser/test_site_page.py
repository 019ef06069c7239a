# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The documentation's pages in a browser, as `make docs` built them: nothing wider than the window, nothing broken."""

from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / 'out' / 'site'


@pytest.mark.skipif(not SITE.exists(), reason='make docs was not run')
@pytest.mark.parametrize('width', [1280, 390])
def test_every_page_fits(watch, width):
    seen = watch(f'file://{SITE / "index.html"}', width)
    for path in sorted(set(SITE.rglob('*.html')) - {SITE / '404.html'}):
        seen.page.goto(f'file://{path}')
        assert seen.page.evaluate('document.documentElement.scrollWidth') <= width, path
        assert seen.page.evaluate('[...document.images].every(i => i.complete && i.naturalWidth > 0)'), path
        # MathML is set: no formula stands there as text between dollars or backslashes.
        assert seen.page.evaluate('document.querySelectorAll(".arithmatex").length') == 0, path
