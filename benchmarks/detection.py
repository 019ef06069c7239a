# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What detection costs per person, per search and per batch, on images of four people.

    python benchmarks/detection.py [--images 60] [--rate-hz 10]

Mosaics of the demo's four cameras are images of four people at known positions. Printed as JSON: ms per image with one
to four predicted people, what each further one adds relative to the keypoint network alone, the share of both
finders, and a region's time in batches. Times are CPU times of one thread, taken in turns; only their ratios mean
something elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import cv2
import numpy as np

from benchmarks.harness import CACHE, parser_of, use_one_thread
from geo_pose_ros.arrays import NS_PER_S, FloatArray, UInt8Array
from geo_pose_ros.demo.footage import fetch_footage
from geo_pose_ros.detection.blazepose.keypoints import BlazePoseKeypoints
from geo_pose_ros.detection.blazepose.person import BlazePosePersons
from geo_pose_ros.detection.movenet.persons import MultiposePersons
from geo_pose_ros.detection.regions import Regions
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.detection.top_down import TopDownDetector
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.skeleton import BODY17, map_to_body17
from geo_pose_ros.types import Frame, PredictedPeople

_COUNTS = (1, 2, 3, 4)
# Of a quarter of a mosaic, px.
_HEIGHT, _WIDTH = 480, 540
_SIGMA_PX = np.ones((1, 17))
# An image (960, 1080, 3) and its people (4, 17, 2) px.
Known = tuple[UInt8Array, FloatArray]


class Timed:
    """A network that counts the regions it reads and the time it takes."""

    def __init__(self, network: Any, method: str) -> None:
        self._network, self._method, self.seconds, self.regions = network, method, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._network, name)
        if name != self._method:
            return found

        def call(images: Sequence[tuple[UInt8Array, Regions]]) -> object:
            self.regions += sum(len(regions) for _, regions in images)
            result, took_ms = cpu_ms(lambda: found(images))
            self.seconds += took_ms / 1e3
            return result

        return call


@dataclass
class Case:
    """A detector that is given so many predicted people, and what it took."""

    count: int
    persons: list[Timed]
    keypoints: Timed
    spent_ms: list[float] = field(default_factory=list)
    found: int = 0
    # Regions read and ms of images without a search.
    unsearched: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.detector = TopDownDetector(self.persons, self.keypoints, DetectorConfig())

    @property
    def searched(self) -> int:
        """How many squares all finders have searched."""
        return sum(finder.regions for finder in self.persons)

    def take(self, image: UInt8Array, people: FloatArray, stamp_ns: int) -> None:
        """Detect in one image; people without a prediction are covered, so that nobody is followed."""
        shown = image.copy()
        for row, column in list(np.ndindex(2, 2))[self.count :]:
            quarter(shown, row, column)[:] = 0
        predicted = PredictedPeople(
            'cam', stamp_ns, BODY17, people[: self.count], np.full((self.count, 17), 3.0), np.arange(self.count)
        )
        searched, read = self.searched, self.keypoints.regions
        seen, took_ms = cpu_ms(lambda: self.detector.detect({'cam': Frame('cam', stamp_ns, shown)}, {'cam': predicted}))
        self.spent_ms.append(took_ms)
        self.found += int((seen['cam'].hints >= 0).sum())
        if self.searched == searched:
            self.unsearched.append((self.keypoints.regions - read, took_ms))

    def summary(self) -> dict[str, float]:
        """Return what it took per image."""
        seconds = sum(finder.seconds for finder in self.persons)
        return {
            'ms per image': round(float(np.mean(self.spent_ms)), 2),
            'median': round(float(np.median(self.spent_ms)), 2),
            'found': round(self.found / (self.count * len(self.spent_ms)), 3),
            'share of both finders': round(
                seconds / (seconds + self.keypoints.seconds), 3
            ),
        }


def cpu_ms(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what ``call`` gives and the CPU time it takes, ms."""
    began = process_time()
    result = call()
    return result, (process_time() - began) * 1e3


def quarter(image: UInt8Array, row: int, column: int) -> UInt8Array:
    """Return one quarter of a mosaic, as a view."""
    return image[row * _HEIGHT : (row + 1) * _HEIGHT, column * _WIDTH : (column + 1) * _WIDTH]


def mosaics(count: int) -> list[UInt8Array]:
    """Return images (960, 1080, 3) of the four cameras side by side."""
    captures = [cv2.VideoCapture(str(path)) for path in fetch_footage(CACHE).videos]
    made = []
    for _ in range(count):
        parts = [cv2.resize(capture.read()[1][:, :1080], (_WIDTH, _HEIGHT)) for capture in captures]
        made.append(np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])]))
    return made


def with_truth(images: Sequence[UInt8Array], detector: TopDownDetector) -> list[Known]:
    """Return the images whose four people are found in each quarter by itself, with their body17 joints."""
    known = []
    for index, image in enumerate(images):
        people = []
        for row, column in np.ndindex(2, 2):
            name = f'{row}{column}'
            part = np.ascontiguousarray(quarter(image, row, column))
            seen = detector.detect({name: Frame(name, index * NS_PER_S // 60, part)}, {})[name]
            joints = map_to_body17(seen.skeleton).apply(seen.xy, seen.confidence)[0]
            people += [joints[0] + (column * _WIDTH, row * _HEIGHT)] if len(joints) else []
        if len(people) == 4:
            known.append((image, np.stack(people)))
    return known


def batches(keypoints: BlazePoseKeypoints, image: UInt8Array, region: Regions) -> dict[int, float]:
    """Return a region's time in batches, by their size, relative to single calls."""
    single: list[float] = []
    batched: dict[int, list[float]] = {}
    for size in (4, 8):
        many = Regions.concatenate([region] * size)
        for _ in range(15):
            single.append(cpu_ms(lambda: keypoints.estimate_keypoints([(image, region)]))[1])
            took_ms = cpu_ms(lambda many=many: keypoints.estimate_keypoints([(image, many)]))[1]  # type: ignore[misc]
            batched.setdefault(size, []).append(took_ms / size)
    return {size: round(float(np.median(ms) / np.median(single)), 3) for size, ms in batched.items()}


def main() -> None:
    """Measure and print."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--images', type=int, default=60)
    parser.add_argument('--rate-hz', type=float, default=10.0)
    arguments = parser.parse_args()
    engine = EngineConfig()
    keypoints = BlazePoseKeypoints(engine)
    persons = [MultiposePersons(engine, keypoints.propose_regions), BlazePosePersons(engine)]
    known = with_truth(mosaics(arguments.images), TopDownDetector(persons, keypoints, DetectorConfig()))
    regions = [keypoints.propose_regions(people[:1], _SIGMA_PX) for _, people in known]
    one_ms = float(np.median([
        cpu_ms(lambda i=image, r=region: keypoints.estimate_keypoints([(i, r)]))[1]  # type: ignore[misc]
        for (image, _), region in zip(known, regions, strict=True)
    ]))
    cases = [
        Case(n, [Timed(finder, 'find_people') for finder in persons], Timed(keypoints, 'estimate_keypoints'))
        for n in _COUNTS
    ]
    for index, (image, people) in enumerate(known):
        for case in cases:
            case.take(image, people, round(index * NS_PER_S / arguments.rate_hz))
    # People without a prediction are followed too: what counts is how many were read.
    read, ms = np.array([pair for case in cases for pair in case.unsearched]).T
    medians = {int(n): float(np.median(ms[read == n])) for n in np.unique(read) if (read == n).sum() >= 5}
    slope = np.polyfit(list(medians), list(medians.values()), 1)[0]
    print(json.dumps({
        'images': len(known), 'keypoint network, one region, ms': round(one_ms, 2),
        'people': {case.count: case.summary() for case in cases},
        'ms by people read': {n: round(value, 2) for n, value in medians.items()},
        'each further person, relative to the network alone': round(float(slope / one_ms), 3),
        'batch, relative to single calls, per region': batches(keypoints, known[0][0], regions[0]),
    }, indent=1))


if __name__ == '__main__':
    main()
