"""The report of a retraining: numbers before and after, pictures, one page of HTML that needs no other file."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence as Items
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.findings import Finding, Severity
from geo_pose_ros.page import render
from geo_pose_ros.skeleton import BODY17

from ..evaluate import Predictor, lift_sequence
from .proof import Check, Recording, reference

_FRAMES_SHOWN = 3
_LABELS = {
    'poses': 'poses compared', 'mpjpe_mm': 'MPJPE, mm', 'p_mpjpe_mm': 'P-MPJPE, mm',
    'reprojection_px': 'reprojection into the other cameras, median px',
    'inside_percent': 'joints within 2.8 sigma, %', 'elsewhere_mm': 'MPJPE of other people, mm',
}


@dataclass(frozen=True, slots=True, eq=False)
class Retraining:
    """What a report tells.

    Attributes:
        source, out: the old model and where the new one goes.
        recordings: what was trained on and kept aside.
        before, after: the checks.
        objections: why the new model was not written; empty if it is better.
        written: whether it was written.
        settings: how it was trained.
    """

    source: Path
    out: Path
    recordings: Items[Recording]
    before: Check
    after: Check
    objections: Items[str]
    written: bool
    settings: dict[str, Any]


def write_report(folder: Path, told: Retraining, old: Predictor, new: Predictor, **windows: Any) -> Path:
    """Write report.json, poses.png and index.html into ``folder``; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {
        'source': str(told.source), 'out': str(told.out), 'written': told.written, 'objections': list(told.objections),
        'before': asdict(told.before), 'after': asdict(told.after), 'settings': told.settings,
        'recordings': [
            {
                'name': r.whole.name, 'frames': len(r.whole), 'trained_on': list(r.trained_on), 'kept_aside': r.camera,
                'training_frames': len(r.training), 'test_frames': len(r.whole.xy[r.test]),
            }
            for r in told.recordings
        ],
    }
    # JSON knows no NaN.
    text = json.dumps(numbers, indent=1, default=str).replace('NaN', 'null')
    (folder / 'report.json').write_text(text + '\n', encoding='utf-8')
    picture = _picture(told.recordings[0], old, new, windows)
    (folder / 'poses.png').write_bytes(picture)
    page = folder / 'index.html'
    page.write_text(_page(numbers, told, picture), encoding='utf-8')
    return page


def _page(numbers: dict[str, Any], told: Retraining, picture: bytes) -> str:
    """Return the page; ``picture`` is a PNG."""
    found = Finding(Severity.OK, 'The new model is better on what was kept aside.')
    if told.objections:
        what = 'Written all the same' if told.written else 'Not written'
        severity = Severity.WARNING if told.written else Severity.ERROR
        found = Finding(severity, f'{what}: {"; ".join(told.objections)}.')
    rows = []
    for field in fields(Check):
        old, new = getattr(told.before, field.name), getattr(told.after, field.name)
        if np.isfinite(old) and np.isfinite(new):
            ratio = new / old if old else float('nan')
            rows.append((_LABELS[field.name], f'{old:.1f}', f'{new:.1f}', f'{ratio:.2f}'))
    recorded = [
        (r['name'], ', '.join(r['trained_on']), str(r['training_frames']), r['kept_aside'] or 'no camera',
         str(r['test_frames'])) for r in numbers['recordings']
    ]
    return render(
        'retraining.html.j2', title=f'Retraining of {told.source.name}', lead=str(told.out),
        made_by='geo_pose retrain', found=[found], rows=rows, recordings=recorded, poses=picture,
        settings=json.dumps(told.settings, indent=1, default=str),
    )


def _picture(recording: Recording, old: Predictor, new: Predictor, windows: dict[str, Any]) -> bytes:
    """Return a PNG of some poses that were kept aside: reference, before and after, from the camera and the side."""
    # Without a display, whatever the user's backend.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    name = recording.camera or recording.trained_on[0]
    alone = recording.whole.views((name,))
    expected, _ = reference(recording, name)
    shown = [(expected, '0.6')]
    for predict, colour in ((old, 'tab:red'), (new, 'tab:green')):
        shown.append((lift_sequence(predict, alone, **windows).xyz[:, 0], colour))
    frames = np.arange(len(alone))[recording.test]
    usable = [f for f in frames if all(np.isfinite(poses[f]).all() for poses, _ in shown)]
    chosen = [usable[i] for i in np.linspace(0, len(usable) - 1, min(_FRAMES_SHOWN, len(usable))).round().astype(int)]
    figure = Figure(figsize=(4.0 * max(len(chosen), 1), 6.0), layout='constrained')
    axes = figure.subplots(2, max(len(chosen), 1), squeeze=False)
    for column, frame in enumerate(chosen):
        for row, across in enumerate((0, 2)):
            for poses, colour in shown:
                _draw(axes[row, column], poses[frame] - poses[frame, :1], across, colour)
        axes[0, column].set_title(f'{name}, frame {frame}')
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format='png', dpi=100)
    return buffer.getvalue()


def _draw(axes: Any, pose: FloatArray, across: int, colour: str) -> None:
    """Draw the bones of a pose (J, 3) in a camera's frame, y down, ``across`` its horizontal axis."""
    for parent, child in BODY17.edges:
        axes.plot(pose[[parent, child], across], -pose[[parent, child], 1], color=colour, linewidth=2.0)
    axes.set_aspect('equal')
    axes.set_axis_off()
