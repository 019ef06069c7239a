"""Whether a rig can be: angles of view, distances, what the cameras see in common."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from ..arrays import FloatArray
from ..findings import Finding, Severity
from ..types import Camera, CameraRig

_LEAST_VIEW_DEG, _MOST_VIEW_DEG = 15.0, 175.0
# Rooms and fields; farther apart is a unit error.
_LEAST_BASELINE_M, _MOST_BASELINE_M = 0.05, 100.0
# Rays that meet at less than this tell depth badly.
_LEAST_MEETING_DEG = 10.0
# Where people stand before a camera.
_NEAREST_M, _FARTHEST_M = 1.0, 30.0


def check_rig(rig: CameraRig) -> Iterator[Finding]:
    """Check every camera, and the cameras together."""
    for camera in rig.cameras:
        yield from check_camera(camera)
    yield from check_distances(rig)
    yield from check_overlap(rig)


def check_camera(camera: Camera) -> Iterator[Finding]:
    """Check angle of view, aspect of pixels, and where the principal point is."""
    lens = camera.intrinsics
    fx, fy, cx, cy = lens.K[0, 0], lens.K[1, 1], lens.K[0, 2], lens.K[1, 2]
    angle = float(np.degrees(2.0 * np.arctan2(lens.width, 2.0 * fx)))
    words = f'{camera.name}: {lens.width}x{lens.height} px, {angle:.0f} degrees wide, {lens.distortion_model}'
    if not _LEAST_VIEW_DEG <= angle <= _MOST_VIEW_DEG and lens.distortion_model != 'equidistant':
        yield Finding(Severity.WARNING, f'{words}: an unlikely angle of view',
                        'Are K and the size of the image of the same resolution? Calibrate it again.')
        return
    if not (0.2 * lens.width < cx < 0.8 * lens.width and 0.2 * lens.height < cy < 0.8 * lens.height):
        yield Finding(Severity.WARNING, f'{words}: its principal point ({cx:.0f}, {cy:.0f}) is far from the middle',
                        'Is the image rotated or cropped, or K of another size? Calibrate it again.')
        return
    if not 0.8 < fx / fy < 1.25:
        yield Finding(Severity.WARNING, f'{words}: fx {fx:.0f} and fy {fy:.0f} differ',
                        'Pixels are square in nearly all cameras; calibrate it again with more views.')
        return
    yield Finding(Severity.OK, words)


def check_distances(rig: CameraRig) -> Iterator[Finding]:
    """Check that cameras are as far apart as cameras are, in metres."""
    pairs = list(combinations(rig.cameras, 2))
    if not pairs:
        yield Finding(Severity.OK, 'one camera: depth comes from the lifter alone')
        return
    distances = {(a.name, b.name): float(np.linalg.norm(a.position_m - b.position_m)) for a, b in pairs}
    low, high = min(distances.values()), max(distances.values())
    words = f'cameras are {low:.2f} to {high:.2f} m apart'
    if high > _MOST_BASELINE_M:
        yield Finding(Severity.ERROR, f'{words}: farther than cameras are', 'Is the file in mm? Give --unit mm.')
    elif low < _LEAST_BASELINE_M:
        a, b = min(distances, key=lambda pair: distances[pair])
        yield Finding(Severity.ERROR, f'{words}: {a} and {b} are at one position',
                        'Every camera needs its own extrinsics; or the unit is wrong: --unit m.')
    else:
        yield Finding(Severity.OK, words)


def check_overlap(rig: CameraRig) -> Iterator[Finding]:
    """Check that each camera has another that sees what it sees, from another side."""
    if len(rig) < 2:
        return
    alone = []
    for camera in rig.cameras:
        others = [other for other in rig.cameras if other is not camera]
        if not any(_share(camera, other) for other in others):
            alone.append(camera.name)
    if alone:
        yield Finding(Severity.WARNING, f'{", ".join(alone)}: no other camera sees the same from another side',
                        'Turn cameras so that views overlap by more than 10 degrees; check the directions of the axes '
                        '(optical: z forward).')
    else:
        yield Finding(Severity.OK, 'every camera shares its view with another')


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
