"""Compare screenshots."""

from __future__ import annotations

import cv2
import numpy as np


def pixels(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).astype(int)


def differing(one: bytes, other: bytes, box: tuple[int, int, int, int] | None = None) -> float:
    """Return the share of pixels that differ visibly, in ``box`` (left, top, right, bottom) or everywhere."""
    a, b = pixels(one), pixels(other)
    if box is not None:
        left, top, right, bottom = box
        a, b = a[top:bottom, left:right], b[top:bottom, left:right]
    return float((np.abs(a - b).max(-1) > 24).mean())
