# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""JPEGs that are damaged inside.

Decoders fill what they cannot decode with grey or with what another place shows, and print a line that names no camera.
Here the codes of a baseline image, which cameras send, are walked through before it is decoded. Progressive images
are not: they are rare, and their scans mend each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...arrays import IntArray, UInt8Array
from .kernels import NO_RESTART, TOO_SHORT, walk

_SCAN, _TABLES, _RESTARTS = 0xDA, 0xC4, 0xDD
_END = b'\xff\xd9'
# Sequential Huffman coding of 8 bits, baseline and extended; the other frames, and those without a length.
_BASELINE, _FRAMES = (0xC0, 0xC1), frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Cameras of USB put a byte or two before the end marker, or fill up.
_MOST_STRAY, _FILLS = 2, (b'\x00', b'\xff')


@dataclass(slots=True)
class _Header:
    """What the segments before a scan say."""

    tables: IntArray = field(default_factory=lambda: np.zeros((8, 17 + 256), np.int64))
    restart: int = 0
    width: int = 0
    height: int = 0
    # Blocks of each component of a unit, across and down.
    factors: dict[int, tuple[int, int]] = field(default_factory=dict)

    def read_tables(self, body: bytes) -> None:
        """Read DHT: any number of tables, of first (0) or other (1) coefficients, for destinations 0 to 3."""
        at = 0
        while at + 17 <= len(body):
            row = 4 * (body[at] >> 4 & 1) + (body[at] & 3)
            counts = np.frombuffer(body, np.uint8, 16, at + 1)
            symbols = np.frombuffer(body[at + 17 : at + 17 + int(counts.sum())], np.uint8)[:256]
            self.tables[row] = 0
            self.tables[row, 1:17], self.tables[row, 17 : 17 + len(symbols)] = counts, symbols
            at += 17 + int(counts.sum())

    def read_frame(self, body: bytes) -> None:
        """Read SOF."""
        self.height, self.width = int.from_bytes(body[1:3], 'big'), int.from_bytes(body[3:5], 'big')
        for at in range(6, 6 + 3 * body[5], 3):
            self.factors[body[at]] = body[at + 1] >> 4, body[at + 1] & 15

    def units(self) -> int:
        """Return how many units the image has."""
        if len(self.factors) == 1:
            # A scan of one component goes by its blocks.
            return -(-self.width // 8) * -(-self.height // 8)
        across = max(across for across, _ in self.factors.values())
        down = max(down for _, down in self.factors.values())
        return -(-self.width // (8 * across)) * -(-self.height // (8 * down))

    def pairs(self, body: bytes) -> IntArray:
        """Return the tables (B, 2) of the blocks of a unit, by SOS; (0, 2) where not all components are in it."""
        chosen = {body[at]: body[at + 1] for at in range(1, 1 + 2 * body[0], 2)}
        if chosen.keys() != self.factors.keys():
            return np.zeros((0, 2), np.int64)
        found = []
        for component, (across, down) in self.factors.items():
            blocks = 1 if len(self.factors) == 1 else across * down
            found += [(chosen[component] >> 4 & 3, 4 + (chosen[component] & 3))] * blocks
        return np.array(found, np.int64)


def find_damage(data: UInt8Array) -> tuple[str, int]:
    """Return what is wrong with the data of a JPEG, '' if nothing is, and where they end before the end marker.

    0 stands for an end that is not known. Nothing is said of what the header cannot be read of.
    """
    header = _Header()
    try:
        for marker, body, behind in _segments(data.tobytes()):  # noqa: B007 - the last one's is used
            if marker == _TABLES:
                header.read_tables(body)
            elif marker == _RESTARTS:
                header.restart = int.from_bytes(body[:2], 'big')
            elif marker in _BASELINE and body[0] == 8:
                header.read_frame(body)
            elif marker in _FRAMES:
                return '', 0
            elif marker == _SCAN:
                break
        else:
            return '', 0
        pairs = header.pairs(body) if header.factors else np.zeros((0, 2), np.int64)
        units = header.units() if len(pairs) else 0
    except (IndexError, ValueError, ZeroDivisionError):
        return '', 0
    # Tables that are not there are the usual ones, which decoders know.
    if not len(pairs) or not header.tables[pairs.ravel(), 1:17].any(1).all():
        return '', 0
    end = walk(data, behind, header.tables, pairs, units, header.restart)
    if end < 0:
        why = {TOO_SHORT: 'its data end too early', NO_RESTART: 'a part of its data is missing'}
        return why.get(end, 'its data hold no code of its tables'), 0
    left, _, _ = data[end:].tobytes().partition(_END)
    if len(left) > _MOST_STRAY and not any(left.strip(fill) == b'' for fill in _FILLS):
        return f'{len(left)} bytes are left after its last block', 0
    return '', end if left else 0


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield marker, body, and where what follows begins, of the segments of a JPEG up to its first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], 'big')
        yield marker, data[at + 4 : at + 2 + length], at + 2 + length
        at += 2 + length
