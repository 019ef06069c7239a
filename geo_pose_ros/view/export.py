# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A page of a recording that needs no server: scene, time line and images in one HTML file."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from ..arrays import NS_PER_S
from ..bags.recording import Recording
from ..errors import BagError, ConfigError
from .playback import Playback
from .server import lightened, with_first_in_head
from .settings import ExportConfig
from .stage import Shown, Stage
from .viewer import opening

# The page must not ask anybody for anything: the browser enforces it.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob: data:; style-src 'unsafe-inline' data: blob:; "
    'img-src data: blob:; font-src data: blob:; connect-src data: blob:; worker-src blob: data:; media-src data: blob:'
)


def export_page(recording: Recording, out: Path, config: ExportConfig) -> int:
    """Write an open recording as one page; return its size, bytes.

    Raises:
        BagError: if the page would be larger than allowed.
        ConfigError: if it cannot be written.
    """
    playback = Playback(recording, 480)
    period_ns = max(round(NS_PER_S / config.export_hz), 1)
    with Stage() as stage:
        stage.set_rig(recording.rig, *opening(recording))
        recorder = stage.recorder()
        imaged_ns, last_ns = -(2**62), -1
        times = range(playback.start_ns, playback.end_ns + 1, period_ns)
        for time_ns in tqdm(times, desc='export', unit='instant', disable=None, leave=False):
            instant = playback.at(time_ns)
            if instant.time_ns != last_ns:
                last_ns = instant.time_ns
                with_images = config.export_images_hz > 0.0 and (
                    time_ns - imaged_ns >= NS_PER_S / config.export_images_hz)
                if with_images:
                    imaged_ns = time_ns
                stage.show(instant, Shown(), None if with_images else ())
            recorder.insert_sleep(period_ns / NS_PER_S)
        page = lightened(recorder.as_html())
    page = with_first_in_head(page, f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">')
    data = page.encode()
    if len(data) > config.export_max_mb * 1e6:
        raise BagError(
            f'The page would have {len(data) / 1e6:.0f} MB, more than export_max_mb {config.export_max_mb:g}. Lower '
            'export_hz or export_images_hz by --set, or cut the bag.'
        )
    try:
        out.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"'{out}' cannot be written: {error.strerror}. Choose another file.") from error
    return len(data)
