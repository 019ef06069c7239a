# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium, headless, driven by Playwright; part of `make test-browser`, not of `make test`.

Screenshots go to out/browser, which is not tracked.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from benchmarks.live.view import CHROMIUM_FLAGS

CHROMIUM = shutil.which('chromium')
SCREENSHOTS = Path(__file__).parents[2] / 'out' / 'browser'

if not os.environ.get('GEO_POSE_BROWSER'):
    collect_ignore_glob = ['test_*.py']


@dataclass
class Watched:
    """A page and what it did: console errors, and requests that leave this machine."""

    page: Any
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def shot(self, name: str) -> bytes:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        return self.page.screenshot(path=str(SCREENSHOTS / f'{name}.png'))


def is_outside(url: str) -> bool:
    """Return whether a request leaves this machine."""
    parts = urlsplit(url)
    return parts.scheme in ('http', 'https', 'ws', 'wss') and parts.hostname not in ('localhost', '127.0.0.1')


@pytest.fixture(scope='session')
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield running
        running.close()


@pytest.fixture
def watch(browser: Any) -> Iterator[Any]:
    """Return a function that opens an address in a window of its own; at the end nothing may have gone wrong."""
    opened: list[Watched] = []

    def open_page(url: str, width: int = 1280, height: int = 800) -> Watched:
        page = browser.new_page(viewport={'width': width, 'height': height})
        watched = Watched(page)
        page.on('console', lambda message: watched.errors.append(message.text) if message.type == 'error' else None)
        page.on('pageerror', lambda error: watched.errors.append(str(error)))
        page.on('request', lambda request: watched.outside.append(request.url) if is_outside(request.url) else None)
        page.on('websocket', lambda socket: watched.outside.append(socket.url) if is_outside(socket.url) else None)
        opened.append(watched)
        page.goto(url)
        return watched

    yield open_page
    for watched in opened:
        watched.page.close()
        assert watched.errors == [] and watched.outside == []


def pixels(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).astype(int)


def differing(one: bytes, other: bytes, box: tuple[int, int, int, int] | None = None) -> float:
    """Return the share of pixels that differ visibly, in ``box`` (left, top, right, bottom) or everywhere."""
    a, b = pixels(one), pixels(other)
    if box is not None:
        left, top, right, bottom = box
        a, b = a[top:bottom, left:right], b[top:bottom, left:right]
    return float((np.abs(a - b).max(-1) > 24).mean())
