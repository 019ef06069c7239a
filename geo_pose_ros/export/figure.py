# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One figure of bodies over time: where people walk, and how high their joints are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .hierarchy import spanning_tree
from .sequence import BodySequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(bodies: BodySequence) -> Figure:
    """Return the figure: left the roots seen from above, m; right the height of every joint of each person, m."""
    from matplotlib.figure import Figure as NewFigure

    upright = bodies.turned('z')
    root = next(iter(spanning_tree(bodies.skeleton)))
    figure = NewFigure(figsize=(10.0, 4.0), dpi=110, layout='constrained')
    above, height = figure.subplots(1, 2)
    for column, body_id in enumerate(bodies.ids.tolist()):
        x, y = upright.xyz[:, column, root, :2].T
        above.plot(x, y, label=f'person {body_id}', color=f'C{column}')
        height.plot(bodies.times_s, upright.xyz[:, column, :, 2], color=f'C{column}', linewidth=0.6)
    above.set(xlabel='x [m]', ylabel='y [m]', title=f'{bodies.skeleton.joint_names[root]}, from above', aspect='equal')
    height.set(xlabel='time [s]', ylabel='height [m]', title='joints')
    if len(bodies.ids):
        above.legend()
    if not np.isfinite(upright.xyz).any():
        height.set_ylim(0.0, 2.0)
    return figure
