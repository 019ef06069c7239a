"""Drawings of bodies: into images, the views of cameras side by side, and in 3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..arrays import FloatArray, UInt8Array
from ..errors import ShapeError
from ..evaluation.quality import distances_to_keypoints
from ..geometry.projection import project_world
from ..skeleton import Skeleton
from ..types import Bodies3D, CameraRig, Frame, Keypoints2D

# BGR: the body's left blue, its right orange, the middle green.
LEFT, RIGHT, MIDDLE = (255, 130, 30), (0, 140, 255), (80, 200, 80)
_DETECTED = (255, 255, 255)
_FRACTION_BITS = 4


def joint_colours(skeleton: Skeleton) -> list[tuple[int, int, int]]:
    """Return a BGR colour per joint that tells the body's left from its right."""
    left = {a for a, _ in skeleton.flip_pairs}
    right = {b for _, b in skeleton.flip_pairs}
    return [LEFT if j in left else RIGHT if j in right else MIDDLE for j in range(len(skeleton))]


def draw_skeleton(image: UInt8Array, xy: FloatArray, confidence: FloatArray, skeleton: Skeleton) -> None:
    """Draw people into ``image`` (H, W, 3) BGR, in place, the fainter the less confident.

    Args:
        image: writable.
        xy: (P, J, 2) px, NaN = not drawn.
        confidence: (P, J) in [0, 1].
        skeleton: J joints.

    Raises:
        ShapeError: if xy or confidence do not fit the skeleton.
    """
    joints = len(skeleton)
    if xy.ndim != 3 or xy.shape[1:] != (joints, 2) or confidence.shape != xy.shape[:2]:
        raise ShapeError(
            f'draw_skeleton: received xy {xy.shape} and confidence {confidence.shape}, '
            f'expected (P, {joints}, 2) and (P, {joints}).'
        )
    colours = joint_colours(skeleton)
    width = max(1, round(max(image.shape[:2]) / 400))
    # Far outside the image OpenCV's fixed-point coordinates would overflow.
    near = np.isfinite(xy).all(-1) & (np.abs(np.nan_to_num(xy)) < 4 * max(image.shape[:2])).all(-1)
    fixed = np.round(np.where(near[..., None], xy, 0.0) * (1 << _FRACTION_BITS)).astype(int)
    for person in range(len(xy)):
        for a, b in skeleton.edges:
            if near[person, a] and near[person, b]:
                colour = colours[b] if colours[b] != MIDDLE else colours[a]
                shade = _shade(colour, float(min(confidence[person, a], confidence[person, b])))
                ends = tuple(fixed[person, a].tolist()), tuple(fixed[person, b].tolist())
                cv2.line(image, *ends, shade, width, cv2.LINE_AA, _FRACTION_BITS)
        for j in range(joints):
            if near[person, j]:
                shade = _shade(colours[j], float(confidence[person, j]))
                centre = tuple(fixed[person, j].tolist())
                cv2.circle(image, centre, 2 * width << _FRACTION_BITS, shade, -1, cv2.LINE_AA, _FRACTION_BITS)


def _shade(colour: tuple[int, int, int], confidence: float) -> tuple[int, int, int]:
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
    """Return the cameras side by side, (H, W, 3) BGR, with the bodies reprojected and the detections as white rings.

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
            _ring(panel, (found.xy + 0.5) * scale - 0.5)
        projected = project_world(rig[name], bodies.xyz)
        draw_skeleton(panel, (projected + 0.5) * scale - 0.5, bodies.confidence, bodies.skeleton)
        _caption(panel, name, np.zeros(0) if found is None else distances_to_keypoints(projected, found, 0.0))
        panels.append(panel)
    return np.hstack(panels)


def _resized(frame: Frame, height_px: int) -> tuple[UInt8Array, float]:
    """Return the image at ``height_px`` and the factor from raw px to its px."""
    height, width = frame.image.shape[:2]
    factor = height_px / height
    size = (round(width * factor), height_px)
    image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA if factor < 1.0 else cv2.INTER_LINEAR)
    return np.asarray(image, np.uint8), factor / frame.reduction


def _ring(image: UInt8Array, xy: FloatArray) -> None:
    radius = max(2, image.shape[0] // 180)
    for x, y in xy[np.isfinite(xy).all(-1)]:
        cv2.circle(image, (round(float(x)), round(float(y))), radius, _DETECTED, 1, cv2.LINE_AA)


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
    figure = plt.figure(figsize=(4.2 * len(panels), 5.0), dpi=110)
    for index, (title, instants) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1, projection='3d')
        for age, bodies in enumerate(reversed(instants)):
            draw_bodies(axes, bodies, 1.0 if age == 0 else 0.35 * (1.0 - age / len(instants)))
        axes.set(
            xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half),
            zlim=(centre[2] - half, centre[2] + half), xlabel='x [m]', ylabel='y [m]', zlabel='z [m]',
        )
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_major_locator(MaxNLocator(4))
        axes.set_box_aspect((1, 1, 1))
        axes.view_init(elev=12, azim=_azimuth(rig, centre))
        axes.set_title(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _azimuth(rig: CameraRig | None, centre: FloatArray) -> float:
    """Return the azimuth, degrees, that looks from the rig's first camera."""
    if rig is None:
        return -60.0
    offset = rig.cameras[0].position_m - centre
    return float(np.degrees(np.arctan2(offset[1], offset[0])))


def draw_bodies(axes: Any, bodies: Bodies3D, alpha: float = 1.0, width: float = 2.2) -> None:
    """Draw the bones of bodies into 3D axes of matplotlib, lines of ``width`` points."""
    colours = [tuple(c / 255.0 for c in reversed(bgr)) for bgr in joint_colours(bodies.skeleton)]
    for joints in bodies.xyz:
        for a, b in bodies.skeleton.edges:
            if np.isfinite(joints[[a, b]]).all():
                axes.plot(*joints[[a, b]].T, color=colours[b], alpha=alpha, linewidth=width, solid_capstyle='round')
