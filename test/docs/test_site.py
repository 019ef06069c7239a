# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The site's check of its pages: it accepts what is built as written, and names what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..examples.test_examples import load_module

site = load_module(Path(__file__).parents[2] / 'tools' / 'site.py')

MARKDOWN = '''# Title of `it`

Prose [with a link](x.md).

```sh
geo_pose run <a> & b
```

## Second

    indented code
'''
BUILT = '''<h1 id="t">Title of <code>it</code><a class="headerlink" href="#t">P</a></h1>
<p>Prose <a href="x.html">with a link</a>.</p>
<div class="highlight"><pre><span></span><code>geo_pose<br> run &lt;a&gt; &amp; b
</code></pre></div>
<h2 id="s">Second</h2>
<pre><code>indented code
</code></pre>'''


def test_a_page_built_as_written_has_no_differences():
    assert site.differences(MARKDOWN, BUILT) == []


@pytest.mark.parametrize(('written', 'built', 'words'), [
    ('geo_pose<br> run', 'geo_pose<br> walk', "code 'geo_pose run <a> & b\\n' is built as code 'geo_pose walk"),
    ('<h2 id="s">Second</h2>', '', '3 headings and code blocks are built as 2'),
    ('Prose <a', '```sh needs=robot <a', "raw Markdown '```'"),
    ('>with a link<', '>a](x.md<', "raw Markdown ']('"),
], ids=['code', 'heading', 'fence', 'link'])
def test_what_is_built_otherwise_is_named(written, built, words):
    assert written in BUILT
    assert any(words in line for line in site.differences(MARKDOWN, BUILT.replace(written, built)))


def test_what_a_block_needs_is_for_the_tests_alone():
    assert site.on_page_markdown('```sh needs=robot\nls\n```') == '```sh\nls\n```'
    assert site.on_page_markdown('```python title="x"\n```') == '```python title="x"\n```'
