"""Numbers over time: counts, means and medians in bins of equal length."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..arrays import NS_PER_S, FloatArray, IntArray
from .report import Series

# A rate needs some frames to count.
_LEAST_BIN_S = 0.5


class TimeBins:
    """Time bins over a recording from ``start_ns`` to ``end_ns``."""

    def __init__(self, start_ns: int, end_ns: int, most: int) -> None:
        """Make at most ``most`` bins of half a second or longer."""
        self.start_ns, self.end_ns = start_ns, end_ns
        self._span_ns = max(end_ns - start_ns, 1)
        self._count = max(1, min(most, int(self._span_ns / (_LEAST_BIN_S * NS_PER_S))))
        edges = np.linspace(0.0, self._span_ns / NS_PER_S, self._count + 1)
        self._middle_s: FloatArray = (edges[1:] + edges[:-1]) / 2.0

    def _index(self, stamps_ns: IntArray) -> IntArray:
        index = (stamps_ns - self.start_ns) * self._count // self._span_ns
        return np.clip(index, 0, self._count - 1)

    def rates(self, stamps_ns: IntArray) -> Series:
        """Return how many stamps per second."""
        counts = np.bincount(self._index(stamps_ns), minlength=self._count)
        return Series(self._middle_s, counts * self._count / (self._span_ns / NS_PER_S))

    def means(self, stamps_ns: IntArray, values: FloatArray) -> Series:
        """Return the mean of the values of each bin."""
        index = self._index(stamps_ns)
        count = np.bincount(index, minlength=self._count)
        total = np.bincount(index, values, self._count)
        return Series(self._middle_s, np.where(count > 0, total / np.maximum(count, 1), np.nan))

    def medians(self, stamps_ns: IntArray, values: FloatArray) -> Series:
        """Return the median of the finite values of each bin."""
        known = np.isfinite(values)
        index, values = self._index(stamps_ns[known]), values[known]
        order = np.argsort(index, kind='stable')
        bounds = np.searchsorted(index[order], np.arange(self._count + 1))
        ordered = values[order]
        medians = [float(np.median(ordered[a:b])) if b > a else np.nan for a, b in pairwise(bounds.tolist())]
        return Series(self._middle_s, np.array(medians))
