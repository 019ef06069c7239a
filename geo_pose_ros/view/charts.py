"""Charts as SVG for ``page``: drawn by matplotlib, coloured by the page's style sheet for light and dark screens."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..evaluation.report import PictureField, Series
from ..page import Html
from .tables import clock

# Okabe and Ito's colours that read on light and dark; the dashes tell further lines apart.
_COLOURS = ('#0f7fd1', '#d9770a', '#159a6c', '#c455a0', '#7a6ff0', '#b58900', '#3aa6b9', '#d1495b')
_DASHES = ('-', '--', ':', '-.')
# Stand-ins that no chart has, replaced by the style sheet's colours.
_INK, _SOFT, _LINE = '#010203', '#010204', '#010205'
_VARIABLES = {_INK: 'var(--ink)', _SOFT: 'var(--soft)', _LINE: 'var(--line)'}
_WIDTH = 10.0
# Up to here times are given in seconds.
_SHORT_S = 20.0

Spans = Sequence[tuple[float, float]]


def style_of(index: int) -> tuple[str, str]:
    """Return colour and dashes of the line number ``index``."""
    return _COLOURS[index % len(_COLOURS)], _DASHES[index // len(_COLOURS) % len(_DASHES)]


def lines(
    series: Mapping[str, Series], *, unit: str, duration_s: float, height: float = 2.4, top: float | None = None,
    shaded: Spans = (),
) -> Html:
    """Return values over time, one line per name.

    Args:
        series: by name.
        unit: of the values.
        duration_s: of the recording.
        height: of the chart, a tenth of the width is 1.
        top: highest value shown; None for what fits nearly all of them.
        shaded: stretches of time (begin, end) s to mark.
    """
    with _axes(height, duration_s) as (axes, result):
        for begin, end in shaded:
            axes.axvspan(begin, end, color='#d1495b', alpha=0.13, linewidth=0)
        known = [np.zeros(0)]
        for index, one in enumerate(series.values()):
            colour, dashes = style_of(index)
            axes.plot(one.time_s, one.value, dashes, color=colour, linewidth=1.5)
            if np.isfinite(one.value).sum() == 1:
                axes.plot(one.time_s, one.value, 'o', color=colour, markersize=3)
            known.append(one.value[np.isfinite(one.value)])
        values = np.concatenate(known)
        highest = float(np.percentile(values, 99) * 1.25) if len(values) else 1.0
        axes.set_ylim(0.0, top if top is not None else max(highest, 1e-3))
        axes.set_ylabel(unit)
    keys = [(name, style_of(index)[0], 1.0) for index, name in enumerate(series)]
    return Html(result[0] + (legend(keys) if len(series) > 1 else ''))


def legend(keys: Sequence[tuple[str, str, float]]) -> Html:
    """Return what the colours mean, each (name, colour, opacity); it wraps where a chart's own could not."""
    items = ''.join(
        f'<span><i style="background:{colour};opacity:{opacity:.2f}"></i>{escape(name)}</span>'
        for name, colour, opacity in keys
    )
    return Html(f'<div class="legend">{items}</div>')


def spans(rows: Mapping[str, Spans], *, duration_s: float, colours: Mapping[str, str] | None = None) -> Html:
    """Return one row of bars (begin, end) s per name."""
    with _axes(0.55 + 0.24 * len(rows), duration_s) as (axes, result):
        for index, (name, stretches) in enumerate(rows.items()):
            colour = (colours or {}).get(name, style_of(index)[0])
            # A glimpse must not vanish.
            bars = [(begin, max(end - begin, duration_s / 400.0)) for begin, end in stretches]
            axes.broken_barh(bars, (index - 0.35, 0.7), color=colour, linewidth=0)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis='y')
    return result[0]


def shares(names: Sequence[str], values: FloatArray, labels: Sequence[str]) -> Html:
    """Return stacked horizontal bars: ``values`` (names, labels) in [0, 1]."""
    with _figure(0.8 + 0.2 * len(names)) as (axes, result):
        left = np.zeros(len(names))
        for index in range(len(labels)):
            strength = _strength(index, len(labels))
            column = np.nan_to_num(values[:, index])
            axes.barh(range(len(names)), column, left=left, color=_COLOURS[0], alpha=strength, linewidth=0)
            left += column
        axes.set_yticks(range(len(names)), list(names))
        axes.invert_yaxis()
        axes.set_xlim(0.0, 1.0)
        axes.xaxis.set_major_formatter(lambda value, _: f'{value:.0%}')
        axes.grid(visible=False, axis='y')
    keys = [(label, _COLOURS[0], _strength(index, len(labels))) for index, label in enumerate(labels)]
    return Html(result[0] + legend(keys))


def arrows(field: PictureField, width: int, height: int, *, longest_px: float) -> Html:
    """Return the mean residual over the picture (width x height px): arrows over cells shaded by its size.

    Args:
        field: the residuals.
        width, height: of the picture.
        longest_px: residual that is drawn darkest; the same for pictures that are compared.
    """
    with _figure(_WIDTH * height / width, width=_WIDTH) as (axes, result):
        rows, columns = field.size_px.shape
        x, y = (np.arange(columns + 1) * width / columns, np.arange(rows + 1) * height / rows)
        shown = np.ma.masked_invalid(field.size_px)
        axes.pcolormesh(x, y, shown, cmap='YlOrRd', vmin=0.0, vmax=longest_px, alpha=0.85, linewidth=0)
        middle = np.meshgrid((x[1:] + x[:-1]) / 2.0, (y[1:] + y[:-1]) / 2.0)
        known = np.isfinite(field.mean_px).all(-1)
        # The longest arrow is a cell and a half.
        scale = max(1e-6, longest_px) / (1.5 * width / columns)
        axes.quiver(
            middle[0][known], middle[1][known], field.mean_px[known, 0], field.mean_px[known, 1], angles='xy',
            scale_units='xy', scale=scale, color=_INK, width=0.007,
        )
        axes.set(xlim=(0, width), ylim=(height, 0), aspect='equal', xticks=(), yticks=())
        axes.grid(visible=False)
    return result[0]


@contextmanager
def _axes(height: float, duration_s: float) -> Iterator[tuple[Any, list[Html]]]:
    """Yield axes over the time of a recording; their SVG is in the list afterwards."""
    from matplotlib.ticker import MaxNLocator

    with _figure(height) as (axes, result):
        axes.set_xlim(0.0, max(duration_s, 1e-3))
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 5, 6, 10]))
        short = duration_s <= _SHORT_S
        axes.xaxis.set_major_formatter(lambda value, _: f'{value:g} s' if short else clock(value))
        yield axes, result


@contextmanager
def _figure(height: float, width: float = _WIDTH) -> Iterator[tuple[Any, list[Html]]]:
    # No pyplot: it keeps figures and starts a window system's backend.
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style = {
        'svg.fonttype': 'none', 'svg.hashsalt': 'geo_pose', 'font.family': 'sans-serif', 'font.size': 11,
        'text.color': _INK, 'axes.labelcolor': _SOFT, 'axes.edgecolor': _LINE, 'xtick.color': _SOFT,
        'ytick.color': _SOFT, 'grid.color': _LINE, 'axes.grid': True, 'axes.axisbelow': True, 'axes.spines.top': False,
        'axes.spines.right': False, 'path.simplify_threshold': 0.5,
    }
    result: list[Html] = []
    with rc_context(style):
        drawn = Figure(figsize=(width, height), layout='constrained')
        FigureCanvasSVG(drawn)
        yield drawn.add_subplot(), result
        out = io.StringIO()
        drawn.savefig(out, format='svg', transparent=True, metadata={'Date': None, 'Creator': None})
    result.append(_as_html(out.getvalue()))


def _as_html(svg: str) -> Html:
    """Return the SVG element alone, in the page's colours and fonts, as wide as its place."""
    svg = svg[svg.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1', svg, count=1)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r'font-size: \1', svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    # Ids are unique within one SVG only.
    prefix = f'c{zlib.crc32(svg.encode()):x}'
    svg = re.sub(r'(id="|url\(#|href="#)', rf'\g<1>{prefix}', svg)
    return Html(f'<div class="chart">{svg}</div>')


def _strength(index: int, count: int) -> float:
    """Return how strongly the colour of ``index`` of ``count`` ranks is drawn: from pale to full."""
    return 0.15 + 0.85 * index / max(1, count - 1)
