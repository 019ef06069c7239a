# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""docs/media/demo.webp: the demo's footage with the reprojected skeleton, and the skeleton in 3D, as an animation.

Run it after `make demo`: .venv/bin/python tools/demo_picture.py. Footage: Pose2Sim (BSD-3-Clause).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from geo_pose_ros.arrays import FloatArray, UInt8Array
from geo_pose_ros.bags.process import process_bag
from geo_pose_ros.bags.recording import Recording
from geo_pose_ros.types import Bodies3D
from geo_pose_ros.view.drawing import draw_bodies, overlay
from geo_pose_ros.view.playback import Playback

ROOT = Path(__file__).parents[1]
OUT = ROOT / 'docs' / 'media' / 'demo.webp'
HEIGHT_PX, STEP, FRAME_MS, QUALITY = 400, 3, 60, 60
# What OUT may weigh in a README.
MOST_BYTES = 1_500_000


def view_3d(bodies: Bodies3D, azimuth_deg: float, middle_m: FloatArray, half_m: float) -> UInt8Array:
    """Return the bodies in 3D, (HEIGHT_PX, HEIGHT_PX, 3) RGB, on the floor around ``middle_m`` to ``half_m`` away."""
    figure = Figure(figsize=(HEIGHT_PX / 100, HEIGHT_PX / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((-0.12, -0.12, 1.24, 1.24), projection='3d')
    draw_bodies(axes, bodies, width=3.5)
    (x, y), far = middle_m, half_m
    axes.set(xlim=(x - far, x + far), ylim=(y - far, y + far), zlim=(0.0, 2.0 * far), xticklabels=(), yticklabels=(),
             zticklabels=())
    axes.set_box_aspect((1, 1, 1))
    axes.view_init(elev=14, azim=azimuth_deg)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def main(footage: Path) -> int:
    """Write OUT from an imported bag of the footage; return 1 if it is too large."""
    shown: list[tuple[UInt8Array, Bodies3D, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        process_bag(footage, Path(folder) / 'result')
        with Recording([Path(folder) / 'result', footage]) as recording:
            playback = Playback(recording, 0)
            at_ns: int | None = playback.start_ns
            number = 0
            while at_ns is not None:
                instant = playback.at(at_ns)
                if number % STEP == 0 and instant.bodies is not None and recording.rig is not None:
                    views = overlay(recording.rig, instant.frames, {}, instant.bodies, height_px=HEIGHT_PX)
                    shown.append((views, instant.bodies, -60.0 + 0.9 * number))
                at_ns, number = playback.neighbour(at_ns, forward=True), number + 1
    floor = np.concatenate([bodies.xyz[..., :2].reshape(-1, 2) for _, bodies, _ in shown])
    low, high = np.nanmin(floor, axis=0), np.nanmax(floor, axis=0)
    middle_m, half_m = (low + high) / 2.0, max(0.9, float((high - low).max()) / 2.0)
    frames = [
        Image.fromarray(np.hstack([views[..., ::-1], view_3d(bodies, azimuth_deg, middle_m, half_m)]))
        for views, bodies, azimuth_deg in shown
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    # In its place only when it is whole.
    written = OUT.with_name(f'part-{OUT.name}')
    frames[0].save(
        written, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, quality=QUALITY, method=6
    )
    written.replace(OUT)
    size = OUT.stat().st_size
    print(f'{OUT.relative_to(ROOT)}: {len(frames)} instants, {size / 1e6:.2f} MB')
    return int(size > MOST_BYTES)


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / 'out' / 'demo' / 'footage'))
