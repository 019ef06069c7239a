# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Charts as SVG for ``page``: drawn by matplotlib, coloured by the style sheet for light and dark screens."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import FloatArray
from ..colours import PALETTE, colour_of
from ..evaluation.report import ResidualField, Series
from ..page import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# They tell lines apart that have the same colour.
_DASHES = ('-', '--', ':', '-.')
# templates/style.css gives these three the colours of the page.
_INK, _SOFT, _LINE = '#010203', '#010204', '#010205'
_WIDTH = 10.0
# Up to here times are given in seconds.
_SHORT_S = 20.0

Spans = Sequence[tuple[float, float]]


@dataclass(slots=True)
class Chart:
    """A chart as an SVG element, and what its colours mean: (name, colour, opacity); empty if it needs no legend."""

    svg: str = ''
    legend: tuple[tuple[str, str, float], ...] = ()


def style_of(index: int) -> tuple[str, str]:
    """Return colour and dashes of the line number ``index``."""
    return colour_of(index), _DASHES[index // len(PALETTE) % len(_DASHES)]


def lines(
    series: Mapping[str, Series], *, unit: str, duration_s: float, height: float = 2.4, top: float | None = None,
    shaded: Spans = (), x_label: str = '',
) -> Chart:
    """Return values over time, or over what ``x_label`` names, one line per name.

    Args:
        series: by name.
        unit: of the values.
        duration_s: of the recording.
        height: of the chart, a tenth of the width is 1.
        top: highest value shown; None for what fits nearly all of them.
        shaded: stretches of time (begin, end) s to mark.
        x_label: what is counted instead of seconds; '' for time.
    """
    with _time_axes(height, duration_s, x_label) as (axes, chart):
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
        axes.set_ylim(min(0.0, float(values.min(initial=0.0))), top if top is not None else max(highest, 1e-3))
        axes.set_ylabel(unit)
    if len(series) > 1:
        chart.legend = tuple((name, style_of(index)[0], 1.0) for index, name in enumerate(series))
    return chart


def spans(rows: Mapping[str, Spans], *, duration_s: float, body_ids: Sequence[int] = ()) -> Chart:
    """Return one row of bars (begin, end) s per name, in the colours of ``body_ids``, or one colour after the other."""
    with _time_axes(0.55 + 0.24 * len(rows), duration_s) as (axes, chart):
        for index, (stretches, number) in enumerate(zip(rows.values(), body_ids or range(len(rows)), strict=True)):
            # A short bar must not vanish.
            bars = [(begin, max(end - begin, duration_s / 400.0)) for begin, end in stretches]
            axes.broken_barh(bars, (index - 0.35, 0.7), color=colour_of(number), linewidth=0)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis='y')
    return chart


def shares(names: Sequence[str], values: FloatArray, labels: Sequence[str]) -> Chart:
    """Return stacked horizontal bars: ``values`` (names, labels) in [0, 1]."""
    # From pale to full.
    opacities = [0.15 + 0.85 * index / max(1, len(labels) - 1) for index in range(len(labels))]
    with _figure(0.8 + 0.2 * len(names)) as (axes, chart):
        left = np.zeros(len(names))
        for column, opacity in zip(np.nan_to_num(values).T, opacities, strict=True):
            axes.barh(range(len(names)), column, left=left, color=PALETTE[0], alpha=opacity, linewidth=0)
            left += column
        axes.set_yticks(range(len(names)), list(names))
        axes.invert_yaxis()
        axes.set_xlim(0.0, 1.0)
        axes.xaxis.set_major_formatter(lambda value, _: f'{value:.0%}')
        axes.grid(visible=False, axis='y')
    chart.legend = tuple((label, PALETTE[0], opacity) for label, opacity in zip(labels, opacities, strict=True))
    return chart


def arrows(field: ResidualField, width: int, height: int, *, darkest_px: float) -> Chart:
    """Return the mean residual over the image (width x height px): arrows over cells shaded by its size.

    The residual ``darkest_px`` is drawn darkest; it is the same for images that are compared.
    """
    with _figure(_WIDTH * height / width) as (axes, chart):
        rows, columns = field.size_px.shape
        x, y = (np.arange(columns + 1) * width / columns, np.arange(rows + 1) * height / rows)
        shown = np.ma.masked_invalid(field.size_px)
        axes.pcolormesh(x, y, shown, cmap='YlOrRd', vmin=0.0, vmax=darkest_px, alpha=0.85, linewidth=0)
        middle = np.meshgrid((x[1:] + x[:-1]) / 2.0, (y[1:] + y[:-1]) / 2.0)
        known = np.isfinite(field.mean_px).all(-1)
        # The longest arrow is a cell and a half.
        scale = max(1e-6, darkest_px) / (1.5 * width / columns)
        axes.quiver(
            middle[0][known], middle[1][known], field.mean_px[known, 0], field.mean_px[known, 1], angles='xy',
            scale_units='xy', scale=scale, color=_INK, width=0.007,
        )
        axes.set(xlim=(0, width), ylim=(height, 0), aspect='equal', xticks=(), yticks=())
        axes.grid(visible=False)
    return chart


@contextmanager
def _time_axes(height: float, duration_s: float, x_label: str = '') -> Iterator[tuple[Axes, Chart]]:
    """Yield axes over the time of a recording, as ``_figure`` does."""
    from matplotlib.ticker import MaxNLocator

    with _figure(height) as (axes, chart):
        axes.set_xlim(0.0, max(duration_s, 1e-3))
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 5, 6, 10]))
        if x_label:
            axes.set_xlabel(x_label)
        else:
            short = duration_s <= _SHORT_S
            axes.xaxis.set_major_formatter(lambda value, _: f'{value:g} s' if short else clock(value))
        yield axes, chart


@contextmanager
def _figure(height: float) -> Iterator[tuple[Axes, Chart]]:
    """Yield axes, and a chart whose SVG is there once they are drawn."""
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
    chart = Chart()
    with rc_context(style):
        drawn = Figure(figsize=(_WIDTH, height), layout='constrained')
        FigureCanvasSVG(drawn)
        yield drawn.add_subplot(), chart
        out = io.StringIO()
        nothing = dict.fromkeys(('Date', 'Creator', 'Format', 'Type'))
        drawn.savefig(out, format='svg', transparent=True, metadata=nothing)
    chart.svg = _with_own_ids(out.getvalue())


def _with_own_ids(document: str) -> str:
    """Return the SVG element of a document alone; its ids differ from those of other charts in the same page."""
    svg = document[document.index('<svg') :]
    prefix = f'c{zlib.crc32(svg.encode()):x}'
    for reference in ('id="', 'url(#', 'href="#'):
        svg = svg.replace(reference, reference + prefix)
    return svg
