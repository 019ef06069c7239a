# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""MkDocs hook: what Markdown on GitHub and on the site understand differently, and a check of every page that is built.

On GitHub the first word after a fence is the language and the rest is ignored; the site's parser takes such a block
for prose. GitHub sets mathematics between dollars; browsers set MathML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

# A fence with what its commands need; test/docs reads it.
_NEEDS = re.compile(r'^(```sh) needs=\w+$', re.MULTILINE)
_FENCE = re.compile(r'^```[^\n]*\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r'(?<=\n\n)((?: {4}[^\n]*\n|\n(?= {4}))+)')
_HEADING = re.compile(r'^#{1,6} +(.+?)(?: +\{[^}]*\})?$')
# What may stand in prose of a page only if its Markdown was not understood.
_RAW = re.compile(r'```|\bneeds=\w|\$\$|\]\(|^#{1,6} ', re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page's Markdown as the site's parser wants it."""
    return _NEEDS.sub(r'\1', markdown)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Return the page's HTML with MathML.

    Raises:
        PluginError: if headings or code do not stand as in the source.
    """
    from mkdocs.exceptions import PluginError

    wrong = differences(page.markdown, content)
    if wrong:
        raise PluginError(f'{page.file.src_uri} is built otherwise than it is written:\n' + '\n'.join(wrong))
    return re.sub(
        r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>',
        lambda found: _mathml(html.unescape(found[2]), found[1] == 'div'), content, flags=re.DOTALL,
    )


def _mathml(latex: str, block: bool) -> str:
    from latex2mathml.converter import convert

    made = str(convert(latex, display='block' if block else 'inline'))
    # A long formula scrolls by itself on a phone.
    kind, style = ('div', '') if block else ('span', 'display: inline-block; max-width: 100%; vertical-align: middle; ')
    return f'<{kind} style="{style}overflow-x: auto; overflow-y: hidden">{made}</{kind}>'


def differences(markdown: str, content: str) -> list[str]:
    """Return in words where headings and code blocks of a page's HTML differ from its Markdown, and raw Markdown."""
    reader = _Reader()
    reader.feed(content)
    indented = {_letters(block) for block in _INDENTED.findall(markdown)}
    wanted = list(_written(markdown))
    built = [part for part in reader.parts if part[0] == 'heading' or _letters(part[1]) not in indented]
    found = [
        f'{kind} {text[:60]!r} is built as {other_kind} {other[:60]!r}'
        for (kind, text), (other_kind, other) in zip(wanted, built, strict=False)
        if (kind, _letters(text)) != (other_kind, _letters(other))
    ]
    if len(wanted) != len(built):
        found.append(f'{len(wanted)} headings and code blocks are built as {len(built)}')
    return found + [f'raw Markdown {match[0]!r} in {line.strip()[:60]!r}' for line in reader.prose
                    if (match := _RAW.search(line))]


def _written(markdown: str) -> Iterator[tuple[str, str]]:
    """Yield 'heading' or 'code' with the text, in the order of the source."""
    end = 0
    for fence in _FENCE.finditer(markdown):
        yield from _headings(markdown[end : fence.start()])
        yield 'code', fence[1]
        end = fence.end()
    yield from _headings(markdown[end:])


def _headings(markdown: str) -> Iterator[tuple[str, str]]:
    for line in markdown.splitlines():
        if heading := _HEADING.match(line):
            yield 'heading', re.sub(r'\]\([^)]*\)|<[^>]*>', '', heading[1])


def _letters(text: str) -> str:
    """Return what remains of a text whatever a renderer does to marks, entities and spaces."""
    return re.sub(r'[\W_]+', '', html.unescape(text))


class _Reader(HTMLParser):
    """Headings and code blocks of a page, and its prose."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[str, str]] = []
        self.prose: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = dict(attrs).get('class') or ''
        if tag in ('br', 'img', 'hr', 'input', 'col', 'wbr'):
            return
        self._open.append('anchor' if 'headerlink' in classes else 'title' if 'filename' in classes else tag)
        if re.fullmatch(r'h[1-6]', tag):
            self.parts.append(('heading', ''))
        elif tag == 'pre':
            self.parts.append(('code', ''))

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        kinds = set(self._open)
        if kinds & {'anchor', 'title'}:
            return
        if 'pre' in kinds or any(re.fullmatch(r'h[1-6]', kind) for kind in kinds):
            kind, text = self.parts[-1]
            self.parts[-1] = kind, text + data
        elif 'code' not in kinds:
            self.prose.append(data)
