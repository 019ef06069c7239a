"""What is said in words: the state of cameras and the joints of a body, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..types import Bodies3D
from .instant import CameraState

_MARKS = ('\N{CHECK MARK}', '\N{WARNING SIGN}', '\N{MULTIPLICATION X}')
_UNKNOWN = '\N{MIDDLE DOT}'


def camera_table(names: Sequence[str], states: Mapping[str, CameraState]) -> str:
    """Return the state of cameras."""
    rows = []
    for name in names:
        state = states.get(name)
        mark = _MARKS[min(max(state.level, 0), 2)] if state is not None else _UNKNOWN
        rows.append(f'{mark} **{name}** {state.message if state is not None else ""}'.rstrip())
    return '\n\n'.join(rows)


def joint_table(bodies: Bodies3D | None, body_id: int | None) -> str:
    """Return the joints of one body as a table: place, sigma, views, reprojection error."""
    if body_id is None:
        return 'Click a body.'
    if bodies is None or body_id not in bodies.body_ids.tolist():
        return f'Body {body_id} is not here now.'
    row = bodies.body_ids.tolist().index(body_id)
    lines = ['| joint | x y z cm | σ cm | views | px |', '|---|---|---|---|---|']
    for joint, name in enumerate(bodies.skeleton.joint_names):
        x, y, z = 100.0 * bodies.xyz[row, joint]
        sigma = 100.0 * float(np.sqrt(np.trace(bodies.covariance[row, joint]) / 3.0))
        error = bodies.reprojection_error[row, joint]
        px = f'{error:.1f}' if np.isfinite(error) else '-'
        lines.append(f'| {name} | {x:.0f} {y:.0f} {z:.0f} | {sigma:.1f} | {bodies.num_views[row, joint]} | {px} |')
    return f'**Body {body_id}**\n\n' + '\n'.join(lines)
