# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Our BlazePose against mediapipe's own, on the images of videos; the reference is of tools/record_blazepose.py.

    .venv/bin/python benchmarks/blazepose.py REFERENCE.npz cam01.mp4 cam02.mp4 ...

Prints, for keypoints inside the image, the distance to mediapipe's on mediapipe's own region, and where each finds
the region in the full image, px per 1920 px of the longer side. (Left to themselves both follow a person from region
to region; a chain of regions is chaotic, and two of them drift apart by some px whatever computes them.)
"""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from benchmarks.harness import parser_of
from geo_pose_ros.detection.blazepose.keypoints import BlazePoseKeypoints
from geo_pose_ros.detection.blazepose.person import BlazePosePersons
from geo_pose_ros.detection.regions import Regions, full_image_square
from geo_pose_ros.inference.settings import EngineConfig


def region_of(rect, width: int, height: int) -> Regions:
    """Return mediapipe's normalised rectangle (5,) as a region of an image."""
    x, y, w, h, angle = rect
    centre, size = np.array([[x * width, y * height]]) - 0.5, np.array([[w * width, h * height]])
    return Regions(centre, size, np.array([angle]))


def pixels(landmarks, width: int, height: int):
    """Return mediapipe's landmarks (33, 3) as px, NaN outside the image."""
    xy = landmarks[:, :2].astype(float)
    inside = ((xy >= 0.0) & (xy <= 1.0)).all(1)
    return np.where(inside[:, None], xy * (width, height) - 0.5, np.nan)


def compare(reading, landmarks, width: int, height: int):
    """Return the distances (n,) of a reading of one person to mediapipe's, px per 1920 px of the longer side."""
    distance = np.linalg.norm(reading.xy[0] - pixels(landmarks, width, height), axis=1)
    return distance[np.isfinite(distance)] * 1920.0 / max(width, height)


def main() -> None:
    """Compare, and print the result as JSON."""
    parser = parser_of(__doc__)
    parser.add_argument('reference', type=Path)
    parser.add_argument('videos', type=Path, nargs='+')
    arguments = parser.parse_args()
    reference = np.load(arguments.reference)
    persons, keypoints = BlazePosePersons(EngineConfig()), BlazePoseKeypoints(EngineConfig())
    found: dict[str, list] = {name: [] for name in ('same regions, px', 'full image, px', 'visibility')}
    images, agree = 0, 0
    spent_ms: list[float] = []
    for path in arguments.videos:
        theirs = {key: reference[f'{path.stem}/{key}'] for key in ('score', 'looked', 'used', 'followed')}
        capture = cv2.VideoCapture(str(path))
        for score, looked, used, followed in zip(*theirs.values(), strict=True):
            _, image = capture.read()
            height, width = image.shape[:2]
            images += 1
            if np.isfinite(used).all() and np.isfinite(followed).all():
                began = perf_counter()
                (reading,) = keypoints.estimate_keypoints([(image, region_of(used, width, height))])
                spent_ms.append((perf_counter() - began) * 1e3)
                found['same regions, px'].append(compare(reading, followed, width, height))
                found['visibility'].append(np.abs(reading.confidence[0] - followed[:, 2]))
            ((people, *_),) = persons.find_people([(image, full_image_square(width, height))])
            agree += int((len(people) > 0) == bool(score > 0.0))
            if len(people) and np.isfinite(looked).all():
                (reading,) = keypoints.estimate_keypoints([(image, people.select(np.arange(1)))])
                found['full image, px'].append(compare(reading, looked, width, height))
    result: dict = {'images': images, 'images with people found by both or by neither': agree}
    for name, values in found.items():
        each = np.concatenate(values)
        result[name] = {
            'keypoints': len(each), 'median': round(float(np.median(each)), 4),
            'p95': round(float(np.percentile(each, 95)), 4), 'largest': round(float(each.max()), 3),
        }
    result['ms per image, region known'] = round(float(np.median(spent_ms)), 1)
    print(json.dumps(result, indent=1))


if __name__ == '__main__':
    main()
