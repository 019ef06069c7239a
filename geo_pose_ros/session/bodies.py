# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a program gets of a session: bodies over time as arrays, tables and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..export.figure import plot
from ..export.sequence import BodySequence
from ..export.tables import to_pandas, to_xarray

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


class SessionBodies(BodySequence):
    """Bodies of a session: ``ids``, ``times_s``, ``xyz`` and the other arrays of ``BodySequence``, and ``angles()``."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame with a row per set, person and joint that is known, the columns of `geo_pose export`."""
        return to_pandas(self)

    def to_xarray(self) -> xarray.Dataset:
        """Return a Dataset: position, covariance and angles with the dimensions time, person, joint, axis."""
        return to_xarray(self)

    def plot(self) -> Figure:
        """Return a figure of matplotlib: where people walk, seen from above, and how high their joints are, m."""
        return plot(self)
