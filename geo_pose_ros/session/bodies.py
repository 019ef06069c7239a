# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a program gets of a session: bodies over time as arrays, tables and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arrays import FloatArray
from ..errors import needing
from ..export.hierarchy import spanning_tree
from ..export.sequence import BodySequence
from ..export.tables import AXES, joint_columns

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


class SessionBodies(BodySequence):
    """Bodies of a session: ``ids``, ``times_s``, ``xyz`` and the other arrays of ``BodySequence``, and ``angles()``."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame with a row per set, person and joint that is known, the columns of `geo_pose export`.

        Raises:
            ConfigError: if pandas is missing.
        """
        with needing('pandas', 'to_pandas'):
            import pandas as pd

        return pd.DataFrame(joint_columns(self))

    def to_xarray(self) -> xarray.Dataset:
        """Return a Dataset: position, covariance, confidence, views and angles over time, person, joint, axis.

        Raises:
            ConfigError: if xarray is missing.
        """
        with needing('xarray', 'to_xarray'):
            import xarray as xr

        joint = ('time', 'person', 'joint')
        data: dict[str, tuple[tuple[str, ...], FloatArray, dict[str, str]]] = {
            'position': ((*joint, 'axis'), self.xyz, {'units': 'm'}),
            'covariance': ((*joint, 'axis', 'axis2'), self.covariance, {'units': 'm2'}),
            'confidence': (joint, self.confidence, {}),
            'num_views': (joint, np.asarray(self.num_views), {}),
            'reprojection_error': (joint, self.reprojection_error, {'units': 'px'}),
        }
        data |= {name: (('time', 'person'), values, {'units': 'deg'}) for name, values in self.angles().items()}
        return xr.Dataset(data, {
            'time': ('time', self.times_s, {'units': 's'}), 'stamp_ns': ('time', self.stamps_ns),
            'person': self.ids, 'joint': list(self.skeleton.joint_names), 'axis': list(AXES), 'axis2': list(AXES),
        }, {'frame_id': self.frame_id, 'skeleton': self.skeleton.name})

    def plot(self) -> Figure:
        """Return a figure: left the roots seen from above, m; right the height of every joint of each person, m."""
        from matplotlib.figure import Figure as NewFigure

        upright = self.turned('z')
        root = next(iter(spanning_tree(self.skeleton)))
        figure = NewFigure(figsize=(10.0, 4.0), dpi=110, layout='constrained')
        above, height = figure.subplots(1, 2)
        for column, body_id in enumerate(self.ids.tolist()):
            x, y = upright.xyz[:, column, root, :2].T
            above.plot(x, y, label=f'person {body_id}', color=f'C{column}')
            height.plot(self.times_s, upright.xyz[:, column, :, 2], color=f'C{column}', linewidth=0.6)
        name = self.skeleton.joint_names[root]
        above.set(xlabel='x [m]', ylabel='y [m]', title=f'{name}, from above', aspect='equal')
        height.set(xlabel='time [s]', ylabel='height [m]', title='joints')
        if len(self.ids):
            above.legend()
        if not np.isfinite(upright.xyz).any():
            height.set_ylim(0.0, 2.0)
        return figure
