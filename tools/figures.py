# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The figures of the concepts, as SVG: `python tools/figures.py [FOLDER]`.

Bodies, covariances and ids in them are what the package says of made-up people, not drawn by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Ellipse

from geo_pose_ros import Camera, CameraRig, Intrinsics, Keypoints2D, PosePipeline
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.simulation.walks import standing
from geo_pose_ros.skeleton import BODY17

MEDIA = Path(__file__).resolve().parents[1] / 'docs' / 'media'
BLUE, ORANGE, GREEN, GREY = '#0f7fd1', '#d9770a', '#159a6c', '#7a8594'
RATE_HZ = 15.0
LENS = Intrinsics([[900.0, 0, 640], [0, 900, 480], [0, 0, 1]], [], 'plumb_bob', 1280, 960)


def camera(name: str, position_m: tuple[float, float, float]) -> Camera:
    """Return a camera that looks at the middle of a room."""
    pose = look_at(np.array(position_m), np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    return Camera(name, f'{name}_optical_frame', LENS, pose)


def seen(one: Camera, people: list[FloatArray], stamp_ns: int) -> Keypoints2D:
    """Return the exact keypoints of people in a camera."""
    xy = np.stack([project_world(one, joints) for joints in people]) if people else np.zeros((0, 17, 2))
    return Keypoints2D(one.name, stamp_ns, BODY17, xy, np.full(xy.shape[:2], 0.9))


def frames(path: Path) -> None:
    """Draw the world's frame, two cameras' optical frames, and a joint's rays."""
    rig = CameraRig((camera('left', (-1.7, -1.3, 1.7)), camera('right', (2.1, -1.5, 1.7))))
    joints = standing(3, (0.7, 0.9), -1.2)
    figure = plt.figure(figsize=(8.0, 3.3))
    axes: Any = figure.add_subplot(projection='3d', computed_zorder=False)
    for a, b in BODY17.edges:
        axes.plot(*joints[[a, b]].T, color=GREY, linewidth=2.5)
    wrist = joints[BODY17.index('left_wrist')]
    _triad(axes, np.column_stack([np.eye(3), np.zeros(3)]), 0.6, ('x', 'y', 'z up'))
    axes.text(0.15, -0.25, -0.2, 'world', fontweight='bold')
    for one in rig.cameras:
        centre = one.position_m
        axes.plot(*np.stack([centre, wrist]).T, color=ORANGE, linestyle=':')
        world_from_cam = np.column_stack([one.cam_from_world[:, :3].T, centre])
        _triad(axes, world_from_cam, 0.6, ('x right', 'y down', 'z forward'))
        axes.text(*(centre + (0, 0, 0.35)), f'{one.name}: optical frame', ha='center', fontweight='bold')
    axes.scatter(*wrist, color=ORANGE, s=40)
    axes.set(xlim=(-2.0, 2.4), ylim=(-1.7, 1.3), zlim=(-0.1, 2.2))
    axes.set_box_aspect((4.4, 3.0, 2.3))
    axes.view_init(elev=14, azim=-80)
    axes.set_axis_off()
    # A 3D axes keeps far more margin than it draws in.
    figure.subplots_adjust(-0.2, -0.62, 1.2, 1.62)
    _save(figure, path, margins=True)


def _triad(axes: Any, world_from_frame: FloatArray, length_m: float, names: tuple[str, str, str]) -> None:
    origin = world_from_frame[:, 3]
    for column, (name, colour) in enumerate(zip(names, ('#c2281d', GREEN, BLUE), strict=True)):
        tip = origin + length_m * world_from_frame[:, column]
        axes.plot(*np.stack([origin, tip]).T, color=colour, linewidth=2.2)
        axes.text(*(origin + 1.12 * length_m * world_from_frame[:, column]), name, color=colour, fontsize=8)


def time(path: Path) -> None:
    """Draw how images of cameras with other rates and phases become sets."""
    figure, axes = plt.subplots(figsize=(7.0, 2.7))
    rates = (('cam0, 30 Hz', 30.0, 0.0), ('cam1, 30 Hz', 30.0, 0.011), ('cam2, 15 Hz', 15.0, 0.006))
    for row, (name, rate_hz, phase_s) in enumerate(rates):
        stamps_ms = 1e3 * (phase_s + np.arange(8) / rate_hz)
        lost = row == 1
        for number, at_ms in enumerate(stamps_ms[stamps_ms < 150]):
            gone = lost and number == 2
            axes.plot(at_ms, -row, 'x' if gone else 'o', color=GREY if gone else BLUE, markersize=8)
        axes.text(-6, -row, name, ha='right', va='center')
    for start_ms, words in ((-3.0, 'set: 3 views'), (30.3, 'set: 2 views'), (63.6, 'set: 2 views'), (97.0, '2')):
        axes.axvspan(start_ms, start_ms + 24.0, color=ORANGE, alpha=0.16, linewidth=0)
        axes.text(start_ms + 12.0, 0.55, words, ha='center', fontsize=8)
    axes.annotate('lost', (77.7, -1), (90, -1.45), fontsize=8, color=GREY,
                  arrowprops={'arrowstyle': '-', 'color': GREY})
    axes.set(xlim=(-5, 125), ylim=(-2.6, 0.9), yticks=[], xlabel='stamp, ms: when the image was taken')
    for side in ('left', 'right', 'top'):
        axes.spines[side].set_visible(False)
    figure.subplots_adjust(0.15, 0.2, 0.99, 0.99)
    _save(figure, path)


def covariance(path: Path) -> None:
    """Draw, from above, how sure two pairs of cameras are of a body's joints."""
    joints = standing(3, heading_rad=0.3)
    figure, panels = plt.subplots(1, 2, figsize=(7.0, 3.6))
    pairs = (('side by side: 8 degrees', (-0.28, -4.0, 1.5), (0.28, -4.0, 1.5)),
             ('crossing: 90 degrees', (-2.83, -2.83, 1.5), (2.83, -2.83, 1.5)))
    for axes, (title, first, second) in zip(panels, pairs, strict=True):
        rig = CameraRig((camera('a', first), camera('b', second)))
        with PosePipeline(rig) as pipeline:
            for number in range(10):
                stamp_ns = round(number * 1e9 / RATE_HZ)
                views = {one.name: seen(one, [joints], stamp_ns) for one in rig.cameras}
                bodies = pipeline.fuse(stamp_ns, views).bodies
        for joint, spread in zip(bodies.xyz[0], bodies.covariance[0], strict=True):
            variances, directions = np.linalg.eigh(spread[:2, :2])
            width, height = 4.0 * np.sqrt(variances)
            angle = np.degrees(np.arctan2(directions[1, 0], directions[0, 0]))
            axes.add_patch(Ellipse(joint[:2], width, height, angle=angle, color=ORANGE, alpha=0.35, linewidth=0))
        for a, b in BODY17.edges:
            axes.plot(*bodies.xyz[0][[a, b], :2].T, color=BLUE, linewidth=1.5)
        middle = bodies.xyz[0].mean(0)
        for one in rig.cameras:
            way = one.position_m - middle
            start = middle[:2] + 0.62 * way[:2] / np.linalg.norm(way[:2])
            axes.annotate('', middle[:2] + 0.42 * way[:2] / np.linalg.norm(way[:2]), start,
                          arrowprops={'arrowstyle': '->', 'color': GREY, 'linewidth': 1.5})
        axes.set(xlim=(-0.75, 0.75), ylim=(-0.75, 0.6), aspect='equal', xlabel='x, m')
        axes.set_title(title, fontsize=10)
    panels[0].set_ylabel('y, m')
    figure.tight_layout()
    _save(figure, path)


def ids(path: Path) -> None:
    """Draw the ids of two people who pass each other, one of them hidden for a while, over time."""
    rig = CameraRig(tuple(camera(f'cam{n}', position) for n, position in enumerate(
        ((-3.5, -3.5, 2.2), (3.5, -3.5, 2.2), (3.5, 3.5, 2.2), (-3.5, 3.5, 2.2)))))
    times_s = np.arange(0.0, 6.0, 1.0 / RATE_HZ)
    found: list[tuple[float, int, float]] = []
    with PosePipeline(rig) as pipeline:
        for time_s in times_s:
            stamp_ns = round(1e9 * time_s)
            x = -2.0 + 0.7 * time_s
            people = [standing(3, (x, 0.35))]
            if not 3.6 < time_s < 4.6:
                people.append(standing(5, (-x, -0.35), 3.1))
            views = {one.name: seen(one, people, stamp_ns) for one in rig.cameras}
            bodies = pipeline.fuse(stamp_ns, views).bodies
            measured = bodies.num_views.max(1) > 0
            found += [(float(time_s), int(b), float(p[0, 0]))
                      for b, p, there in zip(bodies.body_ids, bodies.xyz, measured, strict=True) if there]
    figure, axes = plt.subplots(figsize=(7.0, 3.0))
    axes.axvspan(3.6, 4.6, color=GREY, alpha=0.15, linewidth=0)
    axes.text(4.1, 2.35, 'one is hidden', ha='center', fontsize=8)
    for body_id, colour in zip(sorted({body_id for _, body_id, _ in found}), (BLUE, ORANGE, GREEN, GREY), strict=False):
        track = np.array([(at, x) for at, one, x in found if one == body_id])
        axes.plot(*track.T, '.', color=colour)
        axes.text(track[5, 0], track[5, 1] + 0.4 * np.sign(track[0, 1]), f'id {body_id}', color=colour)
    axes.set(xlabel='s', ylabel='x of the pelvis, m', ylim=(-2.6, 2.7))
    figure.tight_layout()
    _save(figure, path)


def _save(figure: Any, path: Path, *, margins: bool = False) -> None:
    figure.savefig(path, metadata={'Date': None}, facecolor='white', bbox_inches=None if margins else 'tight')
    plt.close(figure)


FIGURES = {'frames': frames, 'time': time, 'covariance': covariance, 'ids': ids}


def main(folder: Path = MEDIA) -> None:
    """Draw all."""
    # Ids of SVG elements, and so the files, are the same every time; letters are outlines that every browser shows.
    plt.rcParams.update({'svg.hashsalt': 'geo_pose', 'font.size': 9.0})
    for name, draw in FIGURES.items():
        draw(folder / f'{name}.svg')
        print(f'{folder / name}.svg: {(folder / f"{name}.svg").stat().st_size / 1e3:.0f} kB')


if __name__ == '__main__':
    main(*map(Path, sys.argv[1:]))
