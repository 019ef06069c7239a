# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled walk through the entropy-coded data of a JPEG: whether all its blocks are there (ITU-T T.81, F.2.2)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ...compiled import Int1D, Int2D, helper, kernel

Bytes1D = Annotated[NDArray[np.uint8], 'uint8', 1]
# What a walk returns in place of where it ended.
TOO_SHORT, NO_CODE, NO_RESTART = -1, -2, -3
# Codes up to so many bits are looked up; no code has more than 16.
_LOOK_UP = 12
_SHOWN = (1 << _LOOK_UP) - 1
_LONGEST = 16
# A table of codes: how many there are of each length 0 .. 16, then their symbols. The first four tables are of the
# first coefficients of blocks, the others of the rest.
SYMBOLS_AT, FIRST_TABLES = _LONGEST + 1, 4
_COEFFICIENTS = 64
# The end of a block: a step behind all coefficients.
_END = 1000
_MARKER, _RESTART_0 = 0xFF, 0xD0


@helper
def _effect(table: int, length: int, symbol: int) -> int:
    """Return bits << 16 | coefficients that a symbol of a code of ``length`` bits takes."""
    if table < FIRST_TABLES:
        return (length + (symbol & 15)) << 16 | 1
    if symbol == 0xF0:
        return length << 16 | 16
    size = symbol & 15
    return (length + size) << 16 | ((symbol >> 4) + 1 if size else _END)


@helper
def _look_up(tables: Int2D) -> Int1D:
    """Return the effects (T * 4096,) of the codes that the next 12 bits begin with, by T tables; 0: a longer code."""
    found = np.zeros(len(tables) << _LOOK_UP, np.int64)
    for t in range(len(tables)):
        code, at = 0, SYMBOLS_AT
        for length in range(1, _LOOK_UP + 1):
            for _ in range(tables[t, length]):
                if code < 1 << length and at < tables.shape[1]:
                    effect = _effect(t, length, tables[t, at])
                    first = (t << _LOOK_UP) + (code << (_LOOK_UP - length))
                    for same in range(first, first + (1 << (_LOOK_UP - length))):
                        found[same] = effect
                code += 1
                at += 1
            code <<= 1
    return found


@helper
def _long_code(tables: Int2D, t: int, ahead: int) -> int:
    """Return the effect of a code of more than 12 bits that the next 16 bits begin with; 0: there is none."""
    code, at = 0, SYMBOLS_AT
    for length in range(1, _LONGEST + 1):
        number = (ahead >> (_LONGEST - length)) - code
        if length > _LOOK_UP and 0 <= number < tables[t, length] and at + number < tables.shape[1]:
            return _effect(t, length, tables[t, at + number])
        at += tables[t, length]
        code = (code + tables[t, length]) << 1
    return 0


@kernel()
def walk(data: Bytes1D, start: int, tables: Int2D, pairs: Int2D, units: int, restart: int) -> int:
    """Return where the data of a scan end, or TOO_SHORT, NO_CODE, NO_RESTART.

    Args:
        data: (n,) of the whole file.
        start: where the scan's data begin.
        tables: (T, 17 + 256) codes by their length and symbols, as in DHT.
        pairs: (B, 2) tables of the first and of the other coefficients of each block of a unit (MCU).
        units: units of the image.
        restart: a marker follows so many units; 0: never.
    """
    found = _look_up(tables)
    # Unsigned positions need no test for what counts from the end.
    at, last = np.uint64(start), np.uint64(max(len(data) - 2, 0))
    one, two, eight = np.uint64(1), np.uint64(2), np.uint64(8)
    ahead, bits, padded = np.uint64(0), 0, 0
    for unit in range(units):
        if restart and unit and unit % restart == 0:
            if at > last or data[at] != _MARKER or data[at + one] != _RESTART_0 + (unit // restart - 1) % 8:
                return NO_RESTART
            at, bits, padded = at + two, 0, 0
        for b in range(len(pairs)):
            t, k = pairs[b, 0], 0
            while k < _COEFFICIENTS:
                if bits < 32:
                    # Zeros stand for what is behind the end.
                    while bits <= 48:
                        byte = np.uint64(0)
                        if at > last or (data[at] == _MARKER and data[at + one]):
                            padded += 8
                        else:
                            byte = np.uint64(data[at])
                            at += two if data[at] == _MARKER else one
                        ahead = (ahead << eight) | byte
                        bits += 8
                effect = found[(t << _LOOK_UP) + int((ahead >> np.uint64(bits - _LOOK_UP)) & np.uint64(_SHOWN))]
                if not effect:
                    effect = _long_code(tables, t, int((ahead >> np.uint64(bits - _LONGEST)) & np.uint64(0xFFFF)))
                    if not effect:
                        return NO_CODE
                bits -= effect >> 16
                k += effect & 0xFFFF
                t = pairs[b, 1]
            if _COEFFICIENTS < k < _END:
                return NO_CODE
            if bits < padded:
                return TOO_SHORT
    # Without the whole bytes that were read ahead.
    return int(at) - (bits - padded) // 8
