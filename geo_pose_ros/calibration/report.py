"""What a calibration found, for people and programs: report.json, pictures, and index.html with all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..errors import CalibrationError
from ..findings import Finding, Severity
from ..page import render
from .calibrate import Calibrated

# Residuals in the fields are drawn so many times longer.
_ARROW = 5.0
_FIELD = (12, 9)


def summary_lines(found: Calibrated) -> list[str]:
    """Return the result in words, one line per camera."""
    after = found.after.medians()
    before = None if found.before is None else found.before.medians()
    lines = []
    for c, name in enumerate(found.rig.names):
        key = 'left_out_px' if len(found.rig) > 2 else 'reprojection_px'
        error, was = after[name][key], '' if before is None else f' (was {before[name][key]:.1f})'
        moved = _moved(found, c)
        change = '' if moved is None else f'turned by {moved[0]:.2f} degrees, moved by {moved[1]:.0f} mm; '
        lines.append(
            f'{name}: {error:.1f} px{was}; {change}rotation +- '
            f'{np.degrees(found.sigma_rotation_rad[c]):.3f} degrees, position +- '
            f'{found.sigma_position_m[c] * 1e3:.1f} mm, clock {found.offset_s[c] * 1e3:+.1f} +- '
            f'{found.sigma_offset_s[c] * 1e3:.1f} ms; {hangs_on(found, c)}'
        )
    return lines


def hangs_on(found: Calibrated, c: int) -> str:
    """Return which camera constrains camera ``c`` most, and by how many instants."""
    others = np.where(np.arange(len(found.rig)) == c, -1.0, found.shared[c])
    best = int(np.argmax(others))
    return f'hangs on {found.rig.names[best]} by {found.shared[c, best]:.0f} of {found.shared[c, c]:.0f} instants'


def as_tree(found: Calibrated) -> dict[str, Any]:
    """Return the result as JSON's types; a number that does not exist is None."""
    after = found.after.medians()
    before = None if found.before is None else found.before.medians()
    cameras = {}
    for c, camera in enumerate(found.rig.cameras):
        moved = _moved(found, c)
        cameras[camera.name] = {
            'sigma_rotation_deg': _number(np.degrees(found.sigma_rotation_rad[c])),
            'sigma_position_mm': _number(found.sigma_position_m[c] * 1e3),
            'clock_offset_ms': _number(found.offset_s[c] * 1e3),
            'sigma_clock_ms': _number(found.sigma_offset_s[c] * 1e3),
            'clock_drift_ppm': _number(found.drift[c] * 1e6),
            'focal_px': _number(camera.intrinsics.K[0, 0]),
            'sigma_focal_px': _number(found.sigma_focal[c] * camera.intrinsics.K[0, 0]),
            'turned_deg': None if moved is None else _number(moved[0]),
            'moved_mm': None if moved is None else _number(moved[1]),
            'after': {key: _number(value) for key, value in after[camera.name].items()},
            'before': None if before is None else {k: _number(v) for k, v in before[camera.name].items()},
            'shared_instants': {
                name: int(found.shared[c, d]) for d, name in enumerate(found.rig.names) if d != c and found.shared[c, d]
            },
        }
    world = found.world
    return {
        'refusal': '' if found.refusal is None else found.refusal.in_words,
        'people': found.people, 'poses_used': found.poses, 'poses_kept_aside': found.kept,
        'score_px': {
            'before': None if found.before is None else _number(found.before.score_px),
            'after': _number(found.after.score_px),
        },
        'world': None if world is None else {
            'scale': world.scale, 'axes': world.axes,
            'sigma_gravity_deg': _number(np.degrees(world.sigma_gravity_rad)),
            'sigma_floor_mm': _number(world.sigma_floor_m * 1e3),
        },
        'cameras': cameras,
    }


def _moved(found: Calibrated, c: int) -> tuple[float, float] | None:
    """Return by how many degrees and mm a camera differs from the given one; None from scratch."""
    if found.given is None:
        return None
    old, new = found.given.cameras[c], found.rig.cameras[c]
    cosine = 0.5 * (np.trace(new.cam_from_world[:, :3] @ old.cam_from_world[:, :3].T) - 1.0)
    return (
        float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))),
        float(np.linalg.norm(new.position_m - old.position_m)) * 1e3,
    )


def _number(value: Any) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def write_report(folder: Path, found: Calibrated, title: str) -> None:
    """Write report.json, residuals.png, above.png and index.html into ``folder``.

    Raises:
        CalibrationError: if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tree = as_tree(found)
        (folder / 'report.json').write_text(json.dumps(tree, indent=1) + '\n', encoding='utf-8')
        _draw_residuals(folder / 'residuals.png', found)
        _draw_above(folder / 'above.png', found)
        pictures = [(folder / name).read_bytes() for name in ('residuals.png', 'above.png')]
        (folder / 'index.html').write_text(_page(tree, title, *pictures), encoding='utf-8')
    except OSError as error:
        raise CalibrationError(f"Report '{folder}' cannot be written: {error}. Choose another folder.") from error


def residual_field(where: FloatArray, offset: FloatArray, width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Return the centres (N, 2) of the cells of a grid over the picture and the median residual (N, 2) px in each.

    Cells with fewer than five keypoints are left out. What is left of a field of one direction is a camera that is
    turned or a clock that is late; what points to or from the middle is a focal length.
    """
    columns, rows = _FIELD
    cell = np.floor(where / (width / columns, height / rows)).astype(int)
    centres, medians = [], []
    for x in range(columns):
        for y in range(rows):
            inside = (cell == (x, y)).all(1)
            if inside.sum() >= 5:
                centres.append(((x + 0.5) * width / columns, (y + 0.5) * height / rows))
                medians.append(np.median(offset[inside], axis=0))
    return np.reshape(centres, (-1, 2)), np.reshape(medians, (-1, 2))


def _draw_residuals(path: Path, found: Calibrated) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    cameras = found.rig.cameras
    rows = [('after', found.after)] + ([] if found.before is None else [('before', found.before)])
    figure, axes = plt.subplots(
        len(rows), len(cameras), figsize=(3.2 * len(cameras), 3.0 * len(rows)), squeeze=False, dpi=90
    )
    for row, (label, judgement) in enumerate(rows):
        for column, camera in enumerate(cameras):
            ax, lens = axes[row][column], camera.intrinsics
            centres, field = residual_field(
                judgement.where[camera.name], judgement.offset_px[camera.name], lens.width, lens.height
            )
            if len(centres):
                ax.quiver(
                    *centres.T, *field.T, angles='xy', scale_units='xy', scale=1.0 / _ARROW, color='tab:red',
                    width=0.006,
                )
            median = judgement.medians()[camera.name]['reprojection_px']
            ax.set(xlim=(0, lens.width), ylim=(lens.height, 0), aspect='equal', xticks=[], yticks=[])
            ax.set_title(f'{camera.name}, {label}: {median:.1f} px', fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _draw_above(path: Path, found: Calibrated) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 6), dpi=90)
    roots = found.joints[:, 0]
    ax.plot(roots[:, 0], roots[:, 1], '.', markersize=2, color='tab:blue', label='people (pelvis)')
    most = max(float(found.shared.max()), 1.0)
    cameras = found.rig.cameras
    for i, a in enumerate(cameras):
        for j, b in enumerate(cameras[i + 1 :], start=i + 1):
            if found.shared[i, j] > 0:
                ends = np.stack([a.position_m, b.position_m])
                ax.plot(ends[:, 0], ends[:, 1], color='0.6', linewidth=0.3 + 2.0 * found.shared[i, j] / most, zorder=0)
    if found.given is not None:
        for camera in found.given.cameras:
            ax.plot(*camera.position_m[:2], 's', markersize=8, fillstyle='none', color='0.3')
    for camera in cameras:
        x, y = camera.position_m[:2]
        forward = camera.cam_from_world[2, :2]
        ax.plot(x, y, 's', color='tab:red', markersize=5)
        ax.annotate('', (x + 0.8 * forward[0], y + 0.8 * forward[1]), (x, y), arrowprops={'arrowstyle': '->'})
        ax.annotate(camera.name, (x, y), textcoords='offset points', xytext=(6, 6), fontsize=8)
    ax.set(aspect='equal', xlabel='x [m]', ylabel='y [m]', title='From above; lines: instants that two cameras share')
    ax.legend(loc='upper right', fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _page(tree: dict[str, Any], title: str, residuals: bytes, above: bytes) -> str:
    """Return the page; ``residuals`` and ``above`` are PNGs."""
    refused, score, world = tree['refusal'], tree['score_px'], tree['world']
    said = 'The world is that of the rig given.' if world is None else (
        f'Scale from {world["scale"]}; axes from {world["axes"]}.'
    )
    rows = []
    for name, c in tree['cameras'].items():
        key = 'left_out_px' if c['after']['left_out_px'] is not None else 'reprojection_px'
        shared = ', '.join(f'{other} {n}' for other, n in c['shared_instants'].items())
        cells = (
            name, c['after'][key], None if c['before'] is None else c['before'][key], c['turned_deg'], c['moved_mm'],
            c['sigma_rotation_deg'], c['sigma_position_mm'], c['clock_offset_ms'], c['sigma_clock_ms'],
            c['clock_drift_ppm'], shared,
        )
        rows.append([_cell(cell) for cell in cells])
    return render(
        'calibration.html.j2', title=title, lead=f'{len(rows)} cameras. {said}', made_by='geo_pose calibrate',
        found=[Finding(Severity.ERROR, f'Refused: {refused}') if refused else Finding(Severity.OK, 'Accepted.')],
        numbers=[
            (f'{_cell(score["after"])} px', 'left-out camera, after'), (f'{_cell(score["before"])} px', 'before'),
            (_cell(tree['people']), 'people'), (_cell(tree['poses_used']), 'poses used'),
            (_cell(tree['poses_kept_aside']), 'poses kept aside'),
        ],
        rows=rows, residuals=residuals, above=above, arrow_scale=_ARROW,
    )


def _cell(value: Any) -> str:
    if value is None:
        return '-'
    return f'{value:.3g}' if isinstance(value, float) else str(value)
