# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Drawings of bodies: into images, the views of cameras side by side, and in 3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..arrays import FloatArray, UInt8Array
from ..colours import joint_colours
from ..errors import ShapeError
from ..evaluation.quality import distances_to_keypoints
from ..geometry.alignment import up_direction
from ..geometry.projection import project_world
from ..skeleton import Skeleton
from ..types import Bodies3D, CameraRig, Frame, Keypoints2D

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

_FRACTION_BITS = 4
# Metres as a figure's axes say them.
_MM_PER_M = 1000.0
_FLOOR = '#9aa5b1'


def draw_skeleton(
    image: UInt8Array, xy: FloatArray, confidence: FloatArray, skeleton: Skeleton, body_ids: Sequence[int] = ()
) -> None:
    """Draw people into ``image`` (H, W, 3) BGR, in place, the fainter the less confident; see ``colours``.

    Args:
        image: writable.
        xy: (P, J, 2) px, NaN = not drawn.
        confidence: (P, J) in [0, 1].
        skeleton: J joints.
        body_ids: of the P people, for their colours; () for grey ones.

    Raises:
        ShapeError: if xy or confidence do not fit the skeleton.
    """
    joints = len(skeleton)
    if xy.ndim != 3 or xy.shape[1:] != (joints, 2) or confidence.shape != xy.shape[:2]:
        raise ShapeError(
            f'draw_skeleton: received xy {xy.shape} and confidence {confidence.shape}, '
            f'expected (P, {joints}, 2) and (P, {joints}).'
        )
    width = max(1, round(max(image.shape[:2]) / 400))
    # Far outside the image OpenCV's fixed-point coordinates would overflow.
    near = np.isfinite(xy).all(-1) & (np.abs(np.nan_to_num(xy)) < 4 * max(image.shape[:2])).all(-1)
    fixed = np.round(np.where(near[..., None], xy, 0.0) * (1 << _FRACTION_BITS)).astype(int)
    for person in range(len(xy)):
        colours = joint_colours(skeleton, body_ids[person] if len(body_ids) else None)[:, ::-1]
        joints_seen = np.flatnonzero(near[person]).tolist()
        bones_seen = [(a, b) for a, b in skeleton.edges if near[person, a] and near[person, b]]
        # An outline first: whatever lies behind, light or dark, the body stands out.
        for extra, outlined in ((2, True), (0, False)):
            for a, b in bones_seen:
                shade = _shade(colours[b], float(min(confidence[person, a], confidence[person, b])))
                ends = tuple(fixed[person, a].tolist()), tuple(fixed[person, b].tolist())
                shade = _outline(shade) if outlined else shade
                cv2.line(image, *ends, shade, width + extra, cv2.LINE_AA, _FRACTION_BITS)
            for j in joints_seen:
                shade = _shade(colours[j], float(confidence[person, j]))
                shade = _outline(shade) if outlined else shade
                radius = (2 * width << _FRACTION_BITS) + (extra << _FRACTION_BITS - 1)
                cv2.circle(image, tuple(fixed[person, j].tolist()), radius, shade, -1, cv2.LINE_AA, _FRACTION_BITS)


def _outline(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black around a light colour and white around a dark one."""
    return (0, 0, 0) if sum(colour) > 255 else (255, 255, 255)


def _shade(colour: FloatArray, confidence: float) -> tuple[int, int, int]:
    strength = 0.35 + 0.65 * confidence
    return int(colour[0] * strength), int(colour[1] * strength), int(colour[2] * strength)


def overlay(
    rig: CameraRig,
    frames: Mapping[str, Frame],
    keypoints: Mapping[str, Keypoints2D],
    bodies: Bodies3D,
    *,
    height_px: int = 720,
) -> UInt8Array:
    """Return the cameras side by side, (H, W, 3) BGR, with the bodies reprojected and the detections as rings.

    Rings are light for the body's left, dark for its right, grey between; a body has the colour of its id.

    Args:
        rig: calibration of the cameras.
        frames: images by camera, reduced or not.
        keypoints: detections by camera, raw px; cameras may be missing.
        bodies: in the rig's world.
        height_px: of the image.

    Raises:
        ShapeError: if there is no frame.
    """
    if not frames:
        raise ShapeError('overlay: received no frame, expected at least one.')
    panels = []
    for name in rig.names:
        if name not in frames:
            continue
        panel, scale = _resized(frames[name], height_px)
        found = keypoints.get(name)
        if found is not None:
            draw_rings(panel, (found.xy + 0.5) * scale - 0.5, found.skeleton)
        projected = project_world(rig[name], bodies.xyz)
        draw_skeleton(panel, (projected + 0.5) * scale - 0.5, bodies.confidence, bodies.skeleton,
                      bodies.body_ids.tolist())
        _caption(panel, name, np.zeros(0) if found is None else distances_to_keypoints(projected, found, 0.0))
        panels.append(panel)
    return np.hstack(panels)


def side_by_side(images: Sequence[UInt8Array], height_px: int) -> UInt8Array:
    """Return images (h, w, 3) beside each other, each ``height_px`` high."""
    sizes = [(max(1, round(image.shape[1] * height_px / image.shape[0])), height_px) for image in images]
    resized = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image, size in zip(images, sizes, strict=True)]
    return np.asarray(np.hstack(resized), np.uint8)


def _resized(frame: Frame, height_px: int) -> tuple[UInt8Array, float]:
    """Return the image at ``height_px`` and the factor from raw px to its px."""
    height, width = frame.image.shape[:2]
    factor = height_px / height
    size = (round(width * factor), height_px)
    image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA if factor < 1.0 else cv2.INTER_LINEAR)
    return np.asarray(image, np.uint8), factor / frame.reduction


def draw_rings(image: UInt8Array, xy: FloatArray, skeleton: Skeleton) -> None:
    """Draw detections (P, J, 2) px of ``image`` (H, W, 3) BGR as rings, in the shade of their side."""
    radius = max(3, image.shape[0] // 150)
    colours = [_shade(colour, 1.0) for colour in joint_colours(skeleton, None)]
    for person in xy:
        for colour, (x, y) in zip(colours, person, strict=True):
            if np.isfinite([x, y]).all():
                cv2.circle(image, (round(float(x)), round(float(y))), radius, colour, 2, cv2.LINE_AA)


def _caption(image: UInt8Array, name: str, distances_px: FloatArray) -> None:
    text = name + (f'  {np.median(distances_px):.0f} px' if len(distances_px) else '')
    scale = image.shape[0] / 900.0
    corner = (12, round(34 * scale) + 8)
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)


def plot_bodies(path: Path, panels: Sequence[tuple[str, Sequence[Bodies3D]]], rig: CameraRig | None = None) -> None:
    """Write a figure with one 3D axes per panel.

    Args:
        path: of the PNG.
        panels: title and the bodies of one or more instants, drawn fainter the older they are.
        rig: where given, the cameras' positions are named on the ground.

    Raises:
        ShapeError: if no panel has a body.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    points = [b.xyz[np.isfinite(b.xyz).all(-1)] for _, instants in panels for b in instants]
    if not points or not sum(map(len, points)):
        raise ShapeError('plot_bodies: received no joint to draw, expected at least one body.')
    cloud = np.concatenate(points)
    low, high = np.percentile(cloud, 1, axis=0), np.percentile(cloud, 99, axis=0)
    centre, half = (low + high) / 2.0, 0.55 * float((high - low).max()) + 0.05
    up = up_direction(rig)
    figure = plt.figure(figsize=(5.2 * len(panels), 5.4), dpi=150)
    for index, (title, instants) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1, projection='3d')
        _draw_floor(axes, centre, half, float((cloud @ up).min()), up)
        for age, bodies in enumerate(reversed(instants)):
            draw_bodies(axes, bodies, 1.0 if age == 0 else 0.35 * (1.0 - age / len(instants)))
        axes.set(
            xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half),
            zlim=(centre[2] - half, centre[2] + half), xlabel='x [mm]', ylabel='y [mm]', zlabel='z [mm]',
        )
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_major_locator(MaxNLocator(4))
            axis.set_major_formatter(lambda value, _: f'{_MM_PER_M * value:.0f}')
            axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axes.tick_params(labelsize=8, pad=1)
        axes.set_box_aspect((1, 1, 1), zoom=1.2)
        # The next panel's background does not hide the numbers of this one.
        axes.patch.set_visible(False)
        axes.view_init(elev=12, azim=_azimuth(rig, centre))
        axes.set_title(title, fontsize=13)
    shown = [bodies for _, instants in panels for bodies in instants]
    ids = sorted({body_id for bodies in shown for body_id in bodies.body_ids.tolist()})
    keys = _legend(shown[0].skeleton, ids)
    figure.legend(handles=keys, loc='lower center', ncol=3 * min(len(ids), 2), frameon=False)
    figure.subplots_adjust(left=0.01, right=0.96, bottom=0.12, top=0.93, wspace=0.2)
    figure.savefig(path)
    plt.close(figure)


def _legend(skeleton: Skeleton, body_ids: Sequence[int]) -> list[Line2D]:
    """Return lines that say which colour is whose, and which side's."""
    from matplotlib.lines import Line2D

    left, right = skeleton.flip_pairs[0]
    sides = {'left': left, 'middle': 0, 'right': right}
    return [
        Line2D([], [], color=colours[joint] / 255.0, linewidth=4, label=f'body {body_id}, {side}')
        for body_id in body_ids for colours in [joint_colours(skeleton, body_id)] for side, joint in sides.items()
    ]


def _draw_floor(axes: Any, centre: FloatArray, half_m: float, floor_m: float, up: FloatArray) -> None:
    """Draw a grid of half metres ``floor_m`` along ``up``, ``half_m`` to each side of what is shown."""
    across = np.linalg.svd(up[None])[2][1:]
    middle = centre + up * (floor_m - float(centre @ up))
    # Lines on whole half metres of the world.
    offsets = across @ middle
    for along, other, own in ((across[0], across[1], 1), (across[1], across[0], 0)):
        first = np.ceil((offsets[own] - half_m) / 0.5) * 0.5
        for at in np.arange(first, offsets[own] + half_m, 0.5):
            start = middle + other * (at - offsets[own])
            axes.plot(*np.stack([start - along * half_m, start + along * half_m], 1), color=_FLOOR, linewidth=0.6)


def _azimuth(rig: CameraRig | None, centre: FloatArray) -> float:
    """Return the azimuth, degrees, that looks from the rig's first camera."""
    if rig is None:
        return -60.0
    offset = rig.cameras[0].position_m - centre
    return float(np.degrees(np.arctan2(offset[1], offset[0])))


def draw_bodies(axes: Any, bodies: Bodies3D, alpha: float = 1.0, width: float = 2.6) -> None:
    """Draw the bones of bodies into 3D axes of matplotlib, lines of ``width`` points, each in the colour of its id."""
    for body_id, joints in zip(bodies.body_ids.tolist(), bodies.xyz, strict=True):
        colours = joint_colours(bodies.skeleton, body_id) / 255.0
        for a, b in bodies.skeleton.edges:
            if np.isfinite(joints[[a, b]]).all():
                axes.plot(*joints[[a, b]].T, color=colours[b], alpha=alpha, linewidth=width, solid_capstyle='round')
