# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Charts of the page of benchmarks: bars as SVG, coloured by docs/media/site.css for light and dark screens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from html import escape
from typing import Any

# px: a line of text, a bar, and the gap below a group of bars.
_LINE, _BAR, _GAP = 20, 15, 9
# Share of the width of the longest bar; its number and name stand beside it, on a phone too.
_LONGEST = 0.55


@dataclass(frozen=True, slots=True)
class Bars:
    """One chart.

    Attributes:
        title: what is shown, with its unit.
        path: keys from the file's root to the mapping or list whose entries are the groups of bars.
        values: keys of a group's numbers, joined by dots, with the name beside their bar; '' for a group that is one
            number.
        entries: the groups shown, a pattern.
        scale: from the file's unit to the shown one.
    """

    title: str
    path: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=lambda: {'': ''})
    entries: str = '*'
    scale: float = 1.0


CHARTS = {
    'calibrate': (
        Bars('Error of a camera\'s position, mm', ('peers',), {'position_mm': ''}),
        Bars('Error of a camera\'s rotation, degrees', ('peers',), {'rotation_deg': ''}),
        Bars('Time, s', ('peers',), {'wall_s': ''}),
    ),
    'demo': (
        Bars('Time of each stage of a set, ms', ('stage_ms',)),
        Bars('Reprojection error per camera, px', ('reprojection_px', 'per_camera')),
    ),
    'eyes': (
        Bars('Time of each network for one image, ms', ('networks',), {'ms': ''}),
        Bars('Mean error in the camera that is left out, px', ('SinglePerson',), {'left_out_mean_px': ''}),
    ),
    'fleet': (Bars('Time for all bags by the number of processes, s', ('runs',), {'wall_s': ''}),),
    'fusion': (
        Bars('Mean error of a joint, four cameras, mm', ('peers', 'mocap17, four cameras'), {'mpjpe_mm': ''}),
        Bars('Time of a set, four cameras, ms', ('peers', 'mocap17, four cameras'), {'set_ms': ''}),
        Bars('Median error of a joint, two cameras, mm', ('two_cameras',),
             {'ours_median_mm': 'ours', 'dlt_median_mm': 'DLT'}),
    ),
    'lifter': (
        Bars('Mean error of a joint from one image, mm', ('recipes',),
             {'mpjpe_mm.mean': 'the same cameras', 'unseen_rig_mpjpe_mm.mean': 'cameras not seen in training'}),
    ),
    'moving': (Bars('Mean error of a joint, mm', ('cases',), {'mpjpe_m': ''}, scale=1e3),),
    'one_camera': (
        Bars('Mean error of a person\'s place, mm', ('scene', 'a/ c/, eye level'), {'root_mm': ''}),
    ),
    'pipeline': (Bars('Time of a set, cameras x people, ms', (), {'this.best': ''}, '*x*, lifter *'),),
    'scenes': (
        Bars('Mean error of a joint, by cameras, mm', ('rows',), {'metrics.mpjpe_m': ''}, 'cameras *', 1e3),
        Bars('Mean error of a joint, by people, mm', ('rows',), {'metrics.mpjpe_m': ''}, 'people *', 1e3),
        Bars('Mean error of a joint, by the error of the calibration, mm', ('rows',), {'metrics.mpjpe_m': ''},
             'calibration_error_deg *', 1e3),
    ),
    'train_memory': (
        Bars('Memory of training on one store and on one twenty times as large, MiB', ('runs',),
             {'1x.peak_mib': '1 x', '20x.peak_mib': '20 x'}),
    ),
}


def draw(chart: Bars, tree: Any) -> str:
    """Return a chart of a result file as HTML.

    Raises:
        KeyError: if the file has not what the chart shows.
    """
    for key in chart.path:
        tree = tree[key]
    groups = {str(name): list(_bars(chart, entry)) for name, entry in tree.items()
              if fnmatchcase(str(name), chart.entries)}
    longest = max(value for bars in groups.values() for value, _ in bars)
    parts, y = [], 0
    for name, bars in groups.items():
        y += _LINE
        parts.append(f'<text class="name" x="0" y="{y - 5}">{escape(name)}</text>')
        for series, (value, words) in enumerate(bars):
            width = f'{100.0 * _LONGEST * max(value, 0.0) / (longest or 1.0):.2f}%'
            parts.append(f'<rect class="series{series}" x="0" y="{y}" width="{width}" height="{_BAR - 2}"/>'
                         f'<text x="{width}" dx="6" y="{y + _BAR - 4}">{value:.3g} {escape(words)}</text>')
            y += _BAR
        y += _GAP
    title = escape(chart.title)
    return (f'<figure class="bars"><figcaption>{title}</figcaption><svg role="img" aria-label="{title}" width="100%" '
            f'height="{y}">{"".join(parts)}</svg></figure>')


def _bars(chart: Bars, entry: Any) -> Iterator[tuple[float, str]]:
    """Yield value and name of the bars of a group."""
    for path, words in chart.values.items():
        value = entry
        for key in path.split('.') if path else ():
            value = value[key]
        yield float(value) * chart.scale, words
