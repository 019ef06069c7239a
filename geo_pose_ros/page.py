"""One HTML page that needs nobody else: style, charts and pictures inside, no script, no request.

All reports (recording, calibration, retraining) are made of these parts, so that they look alike::

    page = Page('Calibration of the hall', 'rig.yaml, 4 cameras')
    page.section('Result', verdicts([Verdict(0, 'All cameras agree.')]), table(('camera', 'px'), [('cam01', '4.2')]))
    path.write_text(page.html())

A part is an ``Html`` string; text given to the functions here is escaped by them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NewType

import cv2

from .arrays import UInt8Array
from .errors import ShapeError

Html = NewType('Html', str)

# The browser enforces what the module promises.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_WORDS = ('good', 'note', 'bad')
_MARKS = ('\N{CHECK MARK}', '!', '\N{MULTIPLICATION SIGN}')

# Colours that charts use too, see view/charts.py: one set for light and one for dark screens.
_STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#5b6675;--line:#dde2e9;
--good:#1a7f4b;--note:#9a6700;--bad:#c2281d;--accent:#0b62c4}
@media(prefers-color-scheme:dark){:root{--page:#12161c;--card:#1a2029;--ink:#e6eaf0;--soft:#9aa5b4;--line:#323b48;
--good:#4cc38a;--note:#e0a83a;--bad:#ff7b70;--accent:#6cb2ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.7rem;line-height:1.2;margin:.4em 0 .1em;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 .7em}
h3{font-size:1rem;margin:1.3em 0 .3em}
.lead{color:var(--soft);margin:0 0 1.4em;overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0 0 18px}
p{margin:.4em 0}
.soft{color:var(--soft);font-size:.9rem}
ul.verdicts{list-style:none;margin:0;padding:0}
ul.verdicts li{display:flex;gap:12px;padding:9px 0;border-top:1px solid var(--line)}
ul.verdicts li:first-child{border-top:0}
.mark{flex:none;width:1.5em;height:1.5em;border-radius:50%;color:var(--card);font-weight:700;text-align:center;
line-height:1.5em}
.good .mark{background:var(--good)}.note .mark{background:var(--note)}.bad .mark{background:var(--bad)}
.remedy{color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
td.wide{white-space:normal;text-align:left;min-width:16em}
th{color:var(--soft);font-weight:600;white-space:normal;vertical-align:bottom}
pre{overflow-x:auto;font-size:.85rem;margin:0}
figure{margin:0 0 14px}
figure svg,figure img{display:block;width:100%;height:auto;border-radius:6px}
.chart{overflow-x:auto}.chart svg{min-width:560px}.pair .chart svg{min-width:0}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;color:var(--soft);font-size:.88rem;margin-top:2px}
.legend i{display:inline-block;width:1em;height:.7em;border-radius:2px;margin-right:.4em}
figcaption{color:var(--soft);font-size:.9rem;margin-top:4px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px}
.tile{border:1px solid var(--line);border-radius:8px;padding:10px 12px}
.tile b{display:block;font-size:1.35rem;line-height:1.25}
.tile span{color:var(--soft);font-size:.85rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,150px),1fr));gap:14px}
footer{color:var(--soft);font-size:.85rem}
@media print{section{break-inside:avoid;border-color:#ccc}body{background:#fff}}
@media(max-width:520px){main{padding:12px 8px 40px}section{padding:14px 12px}}
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Something to know: ``level`` 0 good, 1 note, 2 bad; what it is; what to do ('' for nothing)."""

    level: int
    text: str
    remedy: str = ''


class Page:
    """A page of sections, in the order they are added."""

    def __init__(self, title: str, lead: str = '') -> None:
        """Begin a page; ``lead`` is a line below the title."""
        self._title, self._lead = title, lead
        self._sections: list[str] = []

    def section(self, heading: str, *parts: Html) -> None:
        """Add a section of parts; none: nothing is added."""
        if parts:
            body = '\n'.join(parts)
            self._sections.append(f'<section><h2>{escape(heading)}</h2>\n{body}\n</section>')

    def html(self, footer: str = '') -> str:
        """Return the page."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
            f'<title>{escape(self._title)}</title>\n<style>{_STYLE}</style></head>\n<body><main>\n'
            f'<h1>{escape(self._title)}</h1>\n<p class="lead">{escape(self._lead)}</p>\n'
            + '\n'.join(self._sections)
            + f'\n<footer>{escape(footer)}</footer>\n</main></body></html>\n'
        )


def text(words: str, *, soft: bool = False) -> Html:
    """Return a paragraph; ``soft`` for what explains."""
    return Html(f'<p class="soft">{escape(words)}</p>' if soft else f'<p>{escape(words)}</p>')


def heading(words: str) -> Html:
    """Return a heading within a section."""
    return Html(f'<h3>{escape(words)}</h3>')


def verdicts(found: Sequence[Verdict]) -> Html:
    """Return a list of things to know, each with its mark and remedy."""
    items = []
    for verdict in found:
        remedy = f'<div class="remedy">{escape(verdict.remedy)}</div>' if verdict.remedy else ''
        items.append(
            f'<li class="{_WORDS[verdict.level]}"><span class="mark" title="{_WORDS[verdict.level]}">'
            f'{_MARKS[verdict.level]}</span><div>{escape(verdict.text)}{remedy}</div></li>'
        )
    return Html(f'<ul class="verdicts">{"".join(items)}</ul>')


def tiles(values: Sequence[tuple[str, str]]) -> Html:
    """Return numbers in large print, each (value, what it is)."""
    cells = ''.join(f'<div class="tile"><b>{escape(v)}</b><span>{escape(what)}</span></div>' for v, what in values)
    return Html(f'<div class="tiles">{cells}</div>')


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, wide: Sequence[int] = ()) -> Html:
    """Return a table; the columns ``wide`` hold sentences.

    Raises:
        ShapeError: if a row has another length than the head.
    """
    for row in rows:
        if len(row) != len(head):
            raise ShapeError(f'table: received a row of {len(row)} cells, expected {len(head)}: {list(row)}.')
    top = ''.join(f'<th>{escape(cell)}</th>' for cell in head)
    body = ''.join(
        '<tr>' + ''.join(
            f'<td class="wide">{escape(cell)}</td>' if index in wide else f'<td>{escape(cell)}</td>'
            for index, cell in enumerate(row)
        ) + '</tr>'
        for row in rows
    )
    return Html(f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>')


def figure(content: Html, caption: str = '') -> Html:
    """Return a chart or picture with its caption."""
    below = f'<figcaption>{escape(caption)}</figcaption>' if caption else ''
    return Html(f'<figure>{content}{below}</figure>')


def side_by_side(*parts: Html) -> Html:
    """Return parts beside each other where there is room."""
    return Html(f'<div class="pair">{"".join(parts)}</div>')


def picture(image: UInt8Array, description: str, *, quality: int = 78) -> Html:
    """Return an image (H, W, 3) BGR as JPEG of ``quality`` within the page.

    Raises:
        ShapeError: if it cannot be coded.
    """
    try:
        coded, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise ShapeError(f'picture: received {image.shape}, expected (H, W, 3) uint8: {error.err}.') from error
    if not coded:
        raise ShapeError(f'picture: an image {image.shape} could not be coded as JPEG.')
    return _image('jpeg', data.tobytes(), description)


def drawing(png: bytes, description: str) -> Html:
    """Return what a program drew, as a PNG's bytes, on white within the page."""
    return _image('png', png, description)


def preformatted(words: str) -> Html:
    """Return text whose lines and spaces are kept."""
    return Html(f'<pre>{escape(words)}</pre>')


def _image(kind: str, data: bytes, description: str) -> Html:
    address = base64.b64encode(data).decode()
    return Html(f'<img src="data:image/{kind};base64,{address}" alt="{escape(description)}">')
