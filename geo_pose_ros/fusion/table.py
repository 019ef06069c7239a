# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Tables of bodies: arrays with one entry per body that are selected, gathered and replaced together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arrays import BoolArray, IntArray

_Element = TypeVar('_Element', bound=np.generic)
_Table = TypeVar('_Table', bound='BodyTable')


def gather(values: NDArray[_Element], index: IntArray, fill: float) -> NDArray[_Element]:
    """Return the rows ``index`` (N,) of ``values`` (R, ...); a row of ``fill`` where the index is -1."""
    taken = np.full((len(index), *values.shape[1:]), fill, values.dtype)
    known = index >= 0
    taken[known] = values[index[known]]
    return taken


@dataclass(frozen=True, slots=True, eq=False)
class BodyTable:
    """Base of tables of B bodies: frozen dataclasses of arrays, of other tables, or of None.

    Attributes:
        BODY_AXIS: axis of the bodies in the arrays in which it is not the first.
    """

    BODY_AXIS: ClassVar[Mapping[str, int]] = {}

    def select(self: _Table, kept: BoolArray | IntArray) -> _Table:
        """Return the bodies of the mask or the indices ``kept``."""
        if kept.dtype == np.bool_ and kept.all():
            return self
        chosen: dict[str, object] = {}
        for field in fields(self):
            value, axis = getattr(self, field.name), self.BODY_AXIS.get(field.name, 0)
            if hasattr(value, 'select'):
                chosen[field.name] = value.select(kept)
            elif value is not None:
                chosen[field.name] = np.ascontiguousarray(value[(slice(None),) * axis + (kept,)])
        return replace(self, **chosen)


class Columns:
    """Base of classes that hold one row per track: arrays as attributes, with the same first axis.

    Attributes:
        NEW: the arrays' names, and their value in a new row.
    """

    NEW: ClassVar[Mapping[str, float]] = {}

    def take(self, index: IntArray) -> None:
        """Keep the rows ``index`` (T',) in its order; -1 opens a new one."""
        for name, value in self.NEW.items():
            setattr(self, name, gather(getattr(self, name), index, value))
