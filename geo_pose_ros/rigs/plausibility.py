# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether a rig can be: lenses, places, unit, axes, up and frames; the one check that every entrance makes.

An ERROR cannot be: whoever computes with the rig refuses it. A WARNING is improbable, and the people seen will tell.
Whether the cameras agree about people is not known here; see evaluation/rig_check/ray_meeting.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import combinations

import numpy as np

from ..arrays import FloatArray
from ..errors import CalibrationError
from ..findings import Finding, Severity
from ..geometry.alignment import UP_AXES
from ..geometry.rigid import angle_between, invert
from ..types import Camera, CameraRig

_LOG = logging.getLogger(__name__)

_LEAST_VIEW_DEG, _MOST_VIEW_DEG = 15.0, 175.0
# Rooms and fields. Farther apart than the second, nobody is seen by two cameras.
_LEAST_BASELINE_M, _MOST_BASELINE_M, _IMPOSSIBLE_M = 0.02, 100.0, 1000.0
# Poses that differ by less are one pose: no calibration is so exact.
_SAME_PLACE_M, _SAME_TURN_RAD = 1e-4, 1e-3
# Rays that meet at less than this tell depth badly.
_LEAST_MEETING_DEG = 10.0
# Where people stand before a camera.
_NEAREST_M, _FARTHEST_M = 1.0, 30.0
# Sines of elevations: cameras of a ceiling look down by more than the first, to the sky by more than the second.
_OVERHEAD, _SKY = 0.7, 0.5
# Cosines: images agree about up if their mean upper side is so near an axis; it is not ``up`` if so far from that.
_AGREED_UP, _OTHER_UP = 0.65, 0.4
# Rotations (3, 3) from what people mistake for an optical frame to the optical frame, and what it is.
CAMERA_AXES = (
    (np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), 'link frames (x forward, z up)'),
    (np.diag([1.0, -1.0, -1.0]), "OpenGL's or Blender's camera frames (y up, z backward)"),
)
OPTICAL = 'Every pose must be that of the optical frame (x right, y down, z forward; REP-103).'


def check_rig(rig: CameraRig, up: str = 'z') -> tuple[Finding, ...]:
    """Return what is to be said of every camera, and of the cameras together.

    Args:
        rig: in its world, m.
        up: the axis of the world that is taken to point upwards, as `lifter.up`; 'none': not known.
    """
    lenses = tuple(finding for camera in rig.cameras for finding in check_camera(camera))
    positions = tuple(check_positions(rig))
    if any(finding.severity for finding in positions):
        # What such cameras see in common means nothing.
        return lenses + positions
    return (*lenses, *positions, *_check_frames(rig), *_check_directions(rig, up))


def require_possible(rig: CameraRig, up: str = 'z') -> tuple[Finding, ...]:
    """Return what is improbable of a rig that somebody computes with; see ``check_rig``.

    Raises:
        CalibrationError: with cause and remedy, if it is impossible.
    """
    found = check_rig(rig, up)
    for finding in found:
        if finding.severity == Severity.ERROR:
            raise CalibrationError(f'The calibration cannot be: {finding.text}')
    return tuple(finding for finding in found if finding.severity)


def log_findings(findings: Iterable[Finding]) -> None:
    """Log what is impossible or improbable of a calibration."""
    for finding in findings:
        if finding.severity:
            _LOG.log(logging.ERROR if finding.severity == Severity.ERROR else logging.WARNING,
                     'Calibration: %s', finding.text)


def require_radians(rotation_vector: FloatArray) -> None:
    """Raise CalibrationError if a rotation vector (3,) is longer than a whole turn: it is in degrees."""
    length = float(np.linalg.norm(rotation_vector))
    if length > 2.0 * np.pi:
        raise CalibrationError(
            f'its rotation vector {np.round(rotation_vector, 3).tolist()} has length {length:.1f}, more than a whole '
            'turn; expected radians. If it is in degrees, multiply it by pi/180.'
        )


def check_camera(camera: Camera) -> Iterator[Finding]:
    """Check angle of view, aspect of pixels, and where the principal point is."""
    lens = camera.intrinsics
    fx, fy, cx, cy = lens.K[0, 0], lens.K[1, 1], lens.K[0, 2], lens.K[1, 2]
    angle = float(np.degrees(2.0 * np.arctan2(lens.width, 2.0 * fx)))
    words = f'{camera.name}: {lens.width}x{lens.height} px, {angle:.0f} degrees wide, {lens.distortion_model}'
    kind = f'lens {camera.name}'
    if not _LEAST_VIEW_DEG <= angle <= _MOST_VIEW_DEG and lens.distortion_model != 'equidistant':
        yield Finding(Severity.WARNING, f'{words}: an unlikely angle of view',
                      'Are K and the size of the image of the same resolution? Calibrate it again.', kind=kind)
    elif not (0.2 * lens.width < cx < 0.8 * lens.width and 0.2 * lens.height < cy < 0.8 * lens.height):
        yield Finding(Severity.WARNING, f'{words}: its principal point ({cx:.0f}, {cy:.0f}) is far from the middle',
                      'Is the image rotated or cropped, or K of another size? Calibrate it again.', kind=kind)
    elif not 0.8 < fx / fy < 1.25:
        yield Finding(Severity.WARNING, f'{words}: fx {fx:.0f} and fy {fy:.0f} differ',
                      'Pixels are square in nearly all cameras; calibrate it again with more views.', kind=kind)
    else:
        yield Finding(Severity.OK, words, kind=kind)


def check_positions(rig: CameraRig) -> Iterator[Finding]:
    """Check that cameras stand at places of their own, as far apart as cameras are, in metres."""
    pairs = list(combinations(rig.cameras, 2))
    if not pairs:
        yield Finding(Severity.OK, 'one camera: depth comes from the lifter alone', kind='place')
        return
    distances = [float(np.linalg.norm(a.position_m - b.position_m)) for a, b in pairs]
    together = [pair for pair, distance in zip(pairs, distances, strict=True) if distance < _SAME_PLACE_M]
    alike = [(a, b) for a, b in together if angle_between(a.cam_from_world, b.cam_from_world) < _SAME_TURN_RAD]
    low, high = min(distances), max(distances)
    words = f'cameras are {low:.2f} to {high:.2f} m apart'
    if alike or len(together) == len(pairs):
        at_one = [c.name for c in rig.cameras if any(c in pair for pair in alike or together)]
        frames = sorted({camera.frame_id for camera in rig.cameras if camera.name in at_one})
        same = f", all of frame '{frames[0]}'" if len(frames) == 1 else ''
        yield Finding(
            Severity.ERROR, f'{", ".join(at_one)} are at one place{same}: no two cameras see from two sides',
            'Give every camera its own extrinsics (a frame of its own in camera_info and /tf_static), or find them: '
            'geo_pose calibrate --from-scratch.', kind='place',
        )
    elif high > _MOST_BASELINE_M:
        unit = 'mm' if high > 2.0 * _IMPOSSIBLE_M else 'cm or mm'
        yield Finding(
            Severity.ERROR if high > _IMPOSSIBLE_M else Severity.WARNING,
            f'{words}, farther than cameras are: it looks like {unit}',
            f'Lengths are metres. Convert it: geo_pose rig convert IN.toml OUT.yaml --unit {unit[:2]}, or divide the '
            'translations.', kind='place',
        )
    elif high < _LEAST_BASELINE_M:
        yield Finding(Severity.WARNING, f'cameras are {1e3 * low:.2g} to {1e3 * high:.2g} mm apart: nearer than '
                      'cameras are', 'Is the unit wrong? Lengths are metres: --unit m.', kind='place')
    elif together:
        names = '; '.join(f'{a.name} and {b.name}' for a, b in together)
        yield Finding(Severity.WARNING, f'{names} are at one position and look elsewhere',
                      'Only the cameras of one head do; else give each its own translation.', kind='place')
    else:
        yield Finding(Severity.OK, words, kind='place')


def _check_frames(rig: CameraRig) -> Iterator[Finding]:
    """Check that every camera has a frame of its own; rectified cameras of one head may share it."""
    without = [camera.name for camera in rig.cameras if not camera.frame_id]
    if without:
        yield Finding(Severity.WARNING, f'{", ".join(without)}: the frame_id is empty',
                      'Name the optical frame, so that others can use the images and keypoints.', kind='frames')
    shared = [
        (a, b) for a, b in combinations(rig.cameras, 2) if a.frame_id and a.frame_id == b.frame_id
        and angle_between(a.cam_from_world, b.cam_from_world) > _SAME_TURN_RAD
    ]
    if shared:
        named = '; '.join(f"{a.name} and {b.name} '{a.frame_id}'" for a, b in shared)
        yield Finding(Severity.WARNING, f'cameras that look elsewhere have one frame: {named}',
                      'TF holds one pose of a frame; name an optical frame for each.', kind='frames')


def _check_directions(rig: CameraRig, up: str) -> Iterator[Finding]:
    """Check where the cameras look, where their images have their upper side, and that views are shared."""
    alone = _alone(rig)
    forward = np.array([camera.cam_from_world[2, :3] for camera in rig.cameras])
    axis = np.array(UP_AXES.get(up, (0.0, 0.0, 0.0)))
    to_sky = bool((forward @ axis > _SKY).all())
    other_up = find_other_up(rig, up)
    anchor = next((c.name for c in rig.cameras if np.abs(c.cam_from_world - np.eye(3, 4)).max() < 1e-9), '')
    # Of one camera all axes are possible.
    words = _mistaken(rig, axis) if (alone or to_sky) and not anchor and len(rig) > 1 else ''
    if words:
        cause = 'all cameras look to the sky' if to_sky else f'{", ".join(alone)} share no view with another camera'
        yield Finding(Severity.WARNING, f'{cause}; the poses look like {words}', OPTICAL, kind='axes')
    elif to_sky and not (other_up or anchor):
        yield Finding(Severity.WARNING, f"all cameras look to the sky, if {up} of '{rig.world_frame_id}' is up",
                      f'{OPTICAL} If another axis is up, set lifter.up.', kind='axes')
    elif alone:
        yield Finding(Severity.WARNING, f'{", ".join(alone)}: no other camera sees the same from another side',
                      'Turn cameras so that views overlap by more than 10 degrees; check the directions of the axes '
                      '(optical: z forward).', kind='overlap')
    elif len(rig) > 1:
        yield Finding(Severity.OK, 'every camera shares its view with another', kind='overlap')
    if other_up and not words:
        above = _upper_sides(rig) @ UP_AXES[other_up]
        spread = float(np.degrees(np.arccos(np.clip(above, -1.0, 1.0)).mean()))
        world = f"the world is camera '{anchor}'; " if anchor else ''
        yield Finding(
            Severity.WARNING,
            f'{world}the images have their upper side towards {other_up} of the world (to {spread:.0f} degrees), but '
            f'lifter.up is {up}',
            f'{turn_world(other_up, len(rig))} If cameras hang upside down or turned by 90 degrees, all is well.',
            kind='up',
        )


def turn_world(up: str, num_cameras: int) -> str:
    """Return what to do where ``up`` points upwards in the world of a rig, and not z."""
    floor = ', or make a world with a floor from people who walk: geo_pose calibrate --from-scratch'
    return (
        f'Give --set pipeline.lifter.up={up} (node: pipeline.lifter.up), or turn the world of the file: geo_pose rig '
        f'convert IN OUT.yaml --up={up}{floor if num_cameras > 1 else ""}.'
    )


def find_other_up(rig: CameraRig, up: str) -> str:
    """Return the axis of the world that the images' upper sides agree about; '' if none, or if ``up`` may be true.

    Images of cameras that look down from above have their upper side anywhere.
    """
    if up == 'none' or np.mean([camera.cam_from_world[2, :3] @ UP_AXES[up] for camera in rig.cameras]) < -_OVERHEAD:
        return ''
    mean = _upper_sides(rig).mean(0)
    best = max(UP_AXES, key=lambda name: float(mean @ UP_AXES[name]))
    return best if mean @ UP_AXES[best] > _AGREED_UP and mean @ UP_AXES[up] < _OTHER_UP else ''


def _upper_sides(rig: CameraRig) -> FloatArray:
    """Return the directions (C, 3) in the world to which the images have their upper side."""
    return np.array([-camera.cam_from_world[1, :3] for camera in rig.cameras])


def _mistaken(rig: CameraRig, up: FloatArray) -> str:
    """Return as what the poses of a rig that cannot see make sense; '' if as nothing known.

    All views are then shared, no camera looks to the sky, and images have their upper side upwards.
    """
    inverted = 'the poses of cameras in the world, not of the world in cameras (cam_from_world)'
    candidates = [(rig.with_poses(invert), inverted)]
    for turn, words in CAMERA_AXES:
        candidates.insert(0, (rig.with_poses(partial(np.matmul, turn)), words))
    for candidate, words in candidates:
        poses = np.array([camera.cam_from_world for camera in candidate.cameras])
        if (poses[:, 2, :3] @ up <= _SKY).all() and (-poses[:, 1, :3] @ up > 0.0).all() and not _alone(candidate):
            return words
    return ''


def _alone(rig: CameraRig) -> list[str]:
    """Return the cameras whose view no other shares; none where there is one camera."""
    return [
        camera.name for camera in rig.cameras
        if len(rig) > 1 and not any(_share(camera, other) for other in rig.cameras if other is not camera)
    ]


def _share(camera: Camera, other: Camera) -> bool:
    """Return whether some point on the axis of ``camera`` is seen by ``other``, from another direction."""
    depths = np.geomspace(_NEAREST_M, _FARTHEST_M, 40)
    points: FloatArray = camera.position_m + depths[:, None] * camera.cam_from_world[2, :3]
    local = points @ other.cam_from_world[:, :3].T + other.cam_from_world[:, 3]
    ahead = local[:, 2] > 0.1
    lens = other.intrinsics
    z = np.where(ahead, local[:, 2], 1.0)
    # Without distortion: enough to tell whether a camera looks there.
    x = lens.K[0, 0] * local[:, 0] / z + lens.K[0, 2]
    y = lens.K[1, 1] * local[:, 1] / z + lens.K[1, 2]
    seen = ahead & (x > 0) & (x < lens.width) & (y > 0) & (y < lens.height)
    towards = points - other.position_m
    length = np.maximum(np.linalg.norm(towards, axis=1), 1e-9)
    cosine = np.abs(towards @ camera.cam_from_world[2, :3]) / length
    return bool((seen & (cosine < np.cos(np.radians(_LEAST_MEETING_DEG)))).any())
