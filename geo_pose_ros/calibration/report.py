# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a calibration found, for people and programs: report.json, two images, and index.html with all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..arrays import FloatArray
from ..errors import CalibrationError
from ..findings import Finding, Severity
from ..page import render
from .calibrate import Calibrated

# Residuals in the fields are drawn so many times longer.
_ARROW = 5.0
_FIELD = (12, 9)


@dataclass(frozen=True, slots=True)
class CameraReport:
    """What a calibration says of one camera.

    Attributes:
        sigma_rotation_deg, sigma_position_mm: standard deviations; as all that begin with sigma.
        clock_offset_ms, sigma_clock_ms, clock_drift_ppm: its clock.
        focal_px, sigma_focal_px: along x.
        turned_deg, moved_mm: from the given rig; None from scratch.
        after, before: median distances of its keypoints on the instants kept aside, px; ``before`` None from scratch.
        shared_instants: with each camera that sees the same people.
    """

    sigma_rotation_deg: float
    sigma_position_mm: float
    clock_offset_ms: float
    sigma_clock_ms: float
    clock_drift_ppm: float
    focal_px: float
    sigma_focal_px: float
    turned_deg: float | None
    moved_mm: float | None
    after: Mapping[str, float]
    before: Mapping[str, float] | None
    shared_instants: Mapping[str, int]


def camera_reports(found: Calibrated) -> dict[str, CameraReport]:
    """Return what is known of each camera."""
    names = found.rig.names
    after = found.after.medians()
    before = None if found.before is None else found.before.medians()
    reports = {}
    for c, camera in enumerate(found.rig.cameras):
        turned_deg = moved_mm = None
        if found.given is not None:
            old = found.given.cameras[c]
            turn = Rotation.from_matrix(camera.cam_from_world[:, :3] @ old.cam_from_world[:, :3].T)
            turned_deg = float(np.degrees(turn.magnitude()))
            moved_mm = float(np.linalg.norm(camera.position_m - old.position_m)) * 1e3
        focal_px = float(camera.intrinsics.K[0, 0])
        reports[camera.name] = CameraReport(
            float(np.degrees(found.sigma_rotation_rad[c])), 1e3 * float(found.sigma_position_m[c]),
            1e3 * float(found.offset_s[c]), 1e3 * float(found.sigma_offset_s[c]), 1e6 * float(found.drift[c]),
            focal_px, focal_px * float(found.sigma_focal[c]), turned_deg, moved_mm, after[camera.name],
            None if before is None else before[camera.name],
            {name: int(found.shared[c, d]) for d, name in enumerate(names) if d != c and found.shared[c, d]},
        )
    return reports


def summary_lines(found: Calibrated) -> list[str]:
    """Return the result in words: one line per camera, one per person, and the scale."""
    lines = []
    key = 'left_out_px' if len(found.rig) > 2 else 'reprojection_px'
    for c, (name, camera) in enumerate(camera_reports(found).items()):
        was = '' if camera.before is None else f' (was {camera.before[key]:.1f})'
        change = '' if camera.turned_deg is None else (
            f'turned by {camera.turned_deg:.2f} degrees, moved by {camera.moved_mm:.0f} mm; '
        )
        shared = camera.shared_instants
        best = max(shared, key=lambda other: shared[other])
        lines.append(
            f'{name}: {camera.after[key]:.1f} px{was}; {change}rotation +- {camera.sigma_rotation_deg:.3f} degrees, '
            f'position +- {camera.sigma_position_mm:.1f} mm, clock {camera.clock_offset_ms:+.1f} +- '
            f'{camera.sigma_clock_ms:.1f} ms; hangs on {best} by {shared[best]} of {found.shared[c, c]:.0f} instants'
        )
    lines += size_lines(found)
    if found.world is not None:
        lines.append(f'scale: {found.world.scale}')
    return lines


def size_lines(found: Calibrated) -> list[str]:
    """Return everybody's stature and lengths in words, with those under the rig given where there is one."""

    def said(new_m: float, old_m: float | None) -> str:
        return f'{new_m:.3f} m' + ('' if old_m is None else f' (was {old_m:.3f})')

    lines = []
    for number, size in enumerate(found.sizes):
        old = found.sizes_before[number].by_name if found.sizes_before else {}
        lines.append(f'person {number + 1}: ' + ', '.join(
            f'{part} {said(m, old.get(part))}' for part, m in size.by_name.items() if np.isfinite(m)
        ))
    return lines


def as_tree(found: Calibrated) -> dict[str, object]:
    """Return the result as JSON's types; a number that does not exist is None."""
    world, before = found.world, found.before
    return {key: _rounded(value) for key, value in {
        'refusal': '' if found.refusal is None else found.refusal.in_words,
        'people': found.people, 'poses_used': found.poses, 'poses_kept_aside': found.kept,
        'score_px': {'before': None if before is None else before.score_px, 'after': found.after.score_px},
        'world': None if world is None else {
            'scale': world.scale, 'axes': world.axes, 'sigma_gravity_deg': float(np.degrees(world.sigma_gravity_rad)),
            'sigma_floor_mm': 1e3 * world.sigma_floor_m,
        },
        'sizes_m': [size.by_name for size in found.sizes],
        'sizes_before_m': [size.by_name for size in found.sizes_before],
        'cameras': {name: asdict(camera) for name, camera in camera_reports(found).items()},
    }.items()}


def _rounded(value: object) -> object:
    """Return a tree with floats of four decimals, None for those that are not finite."""
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    return value


def write_report(folder: Path, found: Calibrated, title: str) -> None:
    """Write report.json, residuals.png, above.png and index.html into ``folder``.

    Raises:
        CalibrationError: if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'report.json').write_text(json.dumps(as_tree(found), indent=1) + '\n', encoding='utf-8')
        residuals, above = folder / 'residuals.png', folder / 'above.png'
        _draw_residuals(residuals, found)
        _draw_above(above, found)
        page = _page(found, title, residuals.read_bytes(), above.read_bytes())
        (folder / 'index.html').write_text(page, encoding='utf-8')
    except OSError as error:
        raise CalibrationError(f"Report '{folder}' cannot be written: {error}. Choose another folder.") from error


def residual_field(where: FloatArray, offset: FloatArray, width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Return the centres (N, 2) of the cells of a grid over the image and the median residual (N, 2) px in each.

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
    from matplotlib.figure import Figure

    cameras = found.rig.cameras
    rows = [('after', found.after)] + ([] if found.before is None else [('before', found.before)])
    figure = Figure((3.2 * len(cameras), 3.0 * len(rows)), dpi=90)
    axes = figure.subplots(len(rows), len(cameras), squeeze=False)
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


def _draw_above(path: Path, found: Calibrated) -> None:
    from matplotlib.figure import Figure

    figure = Figure((6, 6), dpi=90)
    ax = figure.subplots()
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


def _page(found: Calibrated, title: str, residuals: bytes, above: bytes) -> str:
    """Return the page; ``residuals`` and ``above`` are PNGs."""
    world, refusal = found.world, found.refusal
    said = 'The world is that of the rig given.' if world is None else (
        f'Scale from {world.scale}; axes from {world.axes}.'
    )
    key = 'left_out_px' if len(found.rig) > 2 else 'reprojection_px'
    rows = [
        (
            name, *(_cell(value) for value in (
                c.after[key], None if c.before is None else c.before[key], c.turned_deg, c.moved_mm,
                c.sigma_rotation_deg, c.sigma_position_mm, c.clock_offset_ms, c.sigma_clock_ms, c.clock_drift_ppm,
            )), ', '.join(f'{other} {n}' for other, n in c.shared_instants.items()),
        )
        for name, c in camera_reports(found).items()
    ]
    verdict = Finding(Severity.OK, 'Accepted.')
    return render(
        'calibration.html.j2', title=title, lead=f'{len(rows)} cameras. {said}', made_by='geo_pose calibrate',
        found=[verdict if refusal is None else Finding(Severity.ERROR, f'Refused: {refusal.what}', refusal.remedy)],
        numbers=[
            (f'{_cell(found.after.score_px)} px', 'left-out camera, after'),
            (f'{_cell(None if found.before is None else found.before.score_px)} px', 'before'),
            (str(found.people), 'people'), (str(found.poses), 'poses used'), (str(found.kept), 'poses kept aside'),
        ],
        rows=rows, sizes=size_lines(found), residuals=residuals, above=above, arrow_scale=_ARROW,
    )


def _cell(value: float | None) -> str:
    return '-' if value is None or np.isnan(value) else f'{value:.3g}'
