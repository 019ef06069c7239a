# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of the viewer and of the pages it exports."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import setting


@dataclass(frozen=True, slots=True)
class ViewConfig:
    """Settings of `geo_pose view`."""

    host: str = setting('127.0.0.1', 'Address to serve on; 0.0.0.0: everybody who reaches this machine may look')
    port: int = setting(0, 'Port to serve on; 0: 8080, or the next that is free', low=0, high=65_535)
    rate_hz: float = setting(30.0, 'Instants drawn per second at most', unit='Hz', low=0.1, high=240.0)
    play: bool = setting(True, 'Begin to play at once')
    browser: bool = setting(False, 'Open the page in this machine\'s browser')


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Settings of `geo_pose view --export`."""

    export_hz: float = setting(15.0, 'Instants per second in an exported page', unit='Hz', low=0.1, high=240.0)
    export_images_hz: float = setting(
        2.0, 'Images per second and camera in an exported page; 0: none', unit='Hz', low=0.0, high=60.0,
        formerly='export_pictures_hz',
    )
    export_max_mb: float = setting(200.0, 'An exported page is not made larger', unit='MB', low=0.1, high=10_000.0)
