# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The report of a retraining: numbers before and after, figures, one page of HTML that needs no other file."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.evaluation.report import Series
from geo_pose_ros.findings import Finding, Severity
from geo_pose_ros.page import render
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.view.charts import Chart, lines

from ..detector.check import DetectorCheck
from ..evaluation.predictor import Predictor, lift_recording
from .check import Check, RetrainError
from .hold_out import HoldOut

_FRAMES_SHOWN = 3
# Fewer, which are seconds of one motion, say little about others.
_ENOUGH_POSES = 300
# What the report calls each number of a lifter's check.
CHECKED = {
    'poses': 'poses compared', 'mpjpe_mm': 'MPJPE, mm', 'p_mpjpe_mm': 'P-MPJPE, mm',
    'reprojection_px': 'reprojection into the other cameras, median px',
    'inside_percent': 'joints within 2.8 sigma, %', 'elsewhere_mm': 'MPJPE of other people, mm',
}


@dataclass(frozen=True, slots=True, eq=False)
class Retraining:
    """What a report says.

    Attributes:
        source, out: the old model and where the new one goes.
        hold_outs: what was trained on and held out.
        before, after: the checks.
        checked: what the numbers of a check are called.
        objections: why the new model was not written; empty if it is better.
        written: whether it was written.
        settings: how it was trained.
        losses: of the training, each with its step, by name.
    """

    source: Path
    out: Path
    hold_outs: Sequence[HoldOut]
    before: Check | DetectorCheck
    after: Check | DetectorCheck
    checked: Mapping[str, str]
    objections: Sequence[str]
    written: bool
    settings: Mapping[str, object]
    losses: Sequence[Mapping[str, float]] = ()

    def numbers(self) -> list[tuple[str, float, float]]:
        """Return what was measured before and after: what it is called, and both numbers."""
        before, after = self.before.known(), self.after.known()
        return [(label, before[name], after[name]) for name, label in self.checked.items()
                if name in before and name in after]


def conclude(folder: Path, done: Retraining, image: bytes, caption: str) -> None:
    """Write report.json, poses.png and index.html into ``folder``, and say where they are.

    Args:
        folder: made if it is missing.
        done: what to say.
        image: PNG of what the models before and after make of what was held out.
        caption: of the image.

    Raises:
        RetrainError: if the new model is not to be written; what speaks against it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # JSON knows no NaN.
    before, after = ({**dict.fromkeys(done.checked), **one.known(), 'joints': one.joints}
                     for one in (done.before, done.after))
    numbers = {
        'source': str(done.source), 'out': str(done.out), 'written': done.written, 'objections': list(done.objections),
        'before': before, 'after': after, 'settings': done.settings,
        'recordings': [
            {
                'name': held.whole.name, 'frames': len(held.whole), 'trained_on': list(held.trained_on),
                'kept_aside': held.camera, 'training_frames': len(held.training),
                'test_frames': len(held.whole.xy[held.test]),
            }
            for held in done.hold_outs
        ],
    }
    (folder / 'report.json').write_text(json.dumps(numbers, indent=1, default=str) + '\n', encoding='utf-8')
    (folder / 'poses.png').write_bytes(image)
    page = folder / 'index.html'
    page.write_text(_page(done, image, caption), encoding='utf-8')
    print(f"report: '{page}'")
    if not done.written:
        raise RetrainError(
            f"'{done.out}' is not written: on what was kept aside {'; '.join(done.objections)}. Record more motion or "
            'views, train differently (--set), or give --force.'
        )


def _page(done: Retraining, image: bytes, caption: str) -> str:
    """Return the page; see ``conclude``."""
    found = _little_compared(done) or Finding(Severity.OK, 'The new model is better on what was kept aside.')
    if done.objections:
        what = 'Written all the same' if done.written else 'Not written'
        severity = Severity.WARNING if done.written else Severity.ERROR
        found = Finding(severity, f'{what}: {"; ".join(done.objections)}.')
    joints = [(name.replace('_', ' '), old, done.after.joints[name])
              for name, old in done.before.joints.items() if name in done.after.joints]
    recorded = [
        (held.whole.name, ', '.join(held.trained_on), str(len(held.training)), held.camera or 'no camera',
         str(len(held.whole.xy[held.test]))) for held in done.hold_outs
    ]
    return render(
        'retraining.html.j2', title=f'Retraining of {done.source.name}', lead=str(done.out), made_by='geo_pose retrain',
        found=[found], rows=done.numbers(), joints=joints, unit='mm' if isinstance(done.before, Check) else 'px',
        recordings=recorded, poses=image, caption=caption, curves=_curves(done.losses),
        settings=json.dumps(done.settings, indent=1, default=str),
    )


def _curves(losses: Sequence[Mapping[str, float]]) -> list[tuple[str, Chart]]:
    """Return name and chart of each loss over the steps; the total first."""
    if not losses:
        return []
    steps = np.array([row['step'] for row in losses])
    names = sorted((name for name in losses[0] if name not in ('step', 'poses_per_s')), key='total'.__ne__)
    return [
        (name, lines({name: Series(steps, np.array([row.get(name, np.nan) for row in losses]))}, unit='',
                     duration_s=float(steps[-1]), x_label='step')) for name in names
    ]


def _little_compared(done: Retraining) -> Finding | None:
    """Return a warning if too little was compared to say that the new model is better; None if it was enough."""
    people, poses = len(done.hold_outs), done.after.known().get('poses', np.inf)
    reasons = [f'only {poses:.0f} poses'] if poses < _ENOUGH_POSES else []
    reasons += ['one recorded person'] if people == 1 else []
    if not reasons:
        return None
    return Finding(
        Severity.WARNING, f'The new model is better on what was kept aside, but little was compared: '
        f'{" of ".join(reasons)}.', 'Record other people and other motion, and compare on them too.',
    )


def poses_png(held: HoldOut, old: Predictor, new: Predictor) -> bytes:
    """Return a PNG of some poses that were held out: reference, before and after, from the camera and the side."""
    # Without a display, whatever the user's backend.
    from matplotlib.figure import Figure

    name = held.test_cameras[0]
    alone = held.whole.views((name,))
    shown = [(held.reference(name)[0], '0.6')]
    shown += [
        (lift_recording(predictor, alone).xyz[:, 0], colour)
        for predictor, colour in ((old, 'tab:red'), (new, 'tab:green'))
    ]
    frames = np.arange(len(alone))[held.test]
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
    figure.savefig(buffer, format='png', dpi=100)
    return buffer.getvalue()


def _draw(axes: Any, pose: FloatArray, across: int, colour: str) -> None:
    """Draw the bones of a pose (J, 3) in a camera's frame, y down, ``across`` its horizontal axis."""
    for parent, child in BODY17.edges:
        axes.plot(pose[[parent, child], across], -pose[[parent, child], 1], color=colour, linewidth=2.0)
    axes.set_aspect('equal')
    axes.set_axis_off()
