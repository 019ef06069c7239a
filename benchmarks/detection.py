"""What detection costs per person, per look and per batch, on pictures of four people.

    .venv/bin/python benchmarks/detection.py [--pictures 60] [--rate-hz 10]

Mosaics of the demo's four cameras are pictures of four people at known places. Printed as JSON: ms per picture with one
to four people expected, what each further one adds relative to the keypoint network alone, the share of the person
network, and a region's time in batches. Times are of the CPU (one thread), taken in turns; only their ratios mean
something elsewhere.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import process_time

import cv2
import numpy as np

from geo_pose_ros.demo.footage import fetch_footage
from geo_pose_ros.detection.blazepose.keypoints import BlazePoseKeypoints
from geo_pose_ros.detection.blazepose.person import BlazePosePersons
from geo_pose_ros.detection.regions import Regions
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.detection.top_down import TopDownDetector
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.skeleton import BODY17, map_to_body17
from geo_pose_ros.types import Frame, PredictedPeople

_NS_PER_S = 1_000_000_000
_COUNTS = (1, 2, 3, 4)


class Timed:
    """A network that counts the time spent in it."""

    def __init__(self, network, method: str) -> None:
        self._network, self._method, self.seconds, self.regions = network, method, 0.0, 0

    def __getattr__(self, name):
        found = getattr(self._network, name)
        if name != self._method:
            return found

        def call(pictures):
            self.regions += sum(len(regions) for _, regions in pictures)
            began = process_time()
            try:
                return found(pictures)
            finally:
                self.seconds += process_time() - began

        return call


def mosaics(count: int) -> list[np.ndarray]:
    """Return pictures (960, 1080, 3) of the four cameras side by side."""
    captures = [cv2.VideoCapture(str(path)) for path in fetch_footage(Path('.cache')).videos]
    made = []
    for _ in range(count):
        parts = [cv2.resize(capture.read()[1][:, :1080], (540, 960)) for capture in captures]
        made.append(np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])]))
    return made


def people_of(keypoints) -> np.ndarray:
    """Return the body17 joints (P, 17, 2) of a detection."""
    return map_to_body17(keypoints.skeleton).apply(keypoints.xy, keypoints.confidence)[0]


def expect(people: np.ndarray, stamp_ns: int) -> dict[str, PredictedPeople]:
    """Return people (P, 17, 2) px as what is expected of the camera, 3 px off."""
    ids = np.arange(len(people))
    return {'cam': PredictedPeople('cam', stamp_ns, BODY17, people, np.full(people.shape[:2], 3.0), ids)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pictures', type=int, default=60)
    parser.add_argument('--rate-hz', type=float, default=10.0)
    arguments = parser.parse_args()
    images = mosaics(arguments.pictures)
    engine = EngineConfig()
    persons, keypoints = BlazePosePersons(engine), BlazePoseKeypoints(engine)
    # Truth: each quarter by itself.
    height, width = images[0].shape[0] // 2, images[0].shape[1] // 2
    truth = []
    alone = TopDownDetector(persons, keypoints, DetectorConfig())
    for index, image in enumerate(images):
        people = []
        for row, column in np.ndindex(2, 2):
            part = image[row * height : (row + 1) * height, column * width : (column + 1) * width]
            name = f'{row}{column}'
            seen = alone.detect({name: Frame(name, index * _NS_PER_S // 60, np.ascontiguousarray(part))}, {})[name]
            people.append(people_of(seen)[0] + (column * width, row * height) if len(seen.xy) else None)
        truth.append(None if any(p is None for p in people) else np.stack(people))
    known = [(image, people) for image, people in zip(images, truth, strict=True) if people is not None]
    sigma = np.ones((1, 17))
    one = np.median([
        _ms(lambda i=i, p=p: keypoints.estimate_keypoints([(i, keypoints.propose_regions(p[:1], sigma))]))
        for i, p in known
    ])
    result: dict = {'pictures': len(known), 'keypoint network, one region, ms': round(float(one), 2), 'people': {}}
    timed = {n: (Timed(persons, 'find_people'), Timed(keypoints, 'estimate_keypoints')) for n in _COUNTS}
    detectors = {n: TopDownDetector(*timed[n], DetectorConfig()) for n in _COUNTS}
    spent: dict = {n: [] for n in _COUNTS}
    found = dict.fromkeys(_COUNTS, 0)
    # Regions read and ms, of pictures that were not looked at.
    quiet: list[tuple[int, float]] = []
    for index, (image, people) in enumerate(known):
        for count in _COUNTS:
            # Who is not expected is covered up, so that nobody is followed.
            shown = image.copy()
            for row, column in list(np.ndindex(2, 2))[count:]:
                shown[row * height : (row + 1) * height, column * width : (column + 1) * width] = 0
            stamp_ns = round(index * _NS_PER_S / arguments.rate_hz)
            frame, told = Frame('cam', stamp_ns, shown), expect(people[:count], stamp_ns)
            looks, reads = (network.regions for network in timed[count])
            began = process_time()
            seen = detectors[count].detect({'cam': frame}, told)['cam']
            spent[count].append((process_time() - began) * 1e3)
            found[count] += int((seen.hints >= 0).sum())
            if timed[count][0].regions == looks:
                quiet.append((timed[count][1].regions - reads, spent[count][-1]))
    for count in _COUNTS:
        finding, reading = (network.seconds for network in timed[count])
        result['people'][count] = {
            'ms per picture': round(float(np.mean(spent[count])), 2),
            'median': round(float(np.median(spent[count])), 2),
            'found': round(found[count] / (count * len(known)), 3),
            'share of the person network': round(finding / (finding + reading), 3),
        }
    # Bystanders are followed too: what counts is how many people were read.
    read, ms = np.array(quiet).T
    medians = {int(n): float(np.median(ms[read == n])) for n in np.unique(read) if (read == n).sum() >= 5}
    slope = np.polyfit(list(medians), list(medians.values()), 1)[0]
    result['ms by people read'] = {n: round(value, 2) for n, value in medians.items()}
    result['each further person, relative to the network alone'] = round(float(slope / one), 3)
    image, people = known[0]
    region = keypoints.propose_regions(people[:1], np.ones((1, 17)))
    single, batched = [], {}
    for size in (4, 8):
        many = Regions.concatenate([region] * size)
        together = []
        for _ in range(15):
            single.append(_ms(lambda: keypoints.estimate_keypoints([(image, region)])))
            together.append(_ms(lambda many=many: keypoints.estimate_keypoints([(image, many)])) / size)
        batched[size] = float(np.median(together))
    base = float(np.median(single))
    result['batch, relative to single calls, per region'] = {size: round(ms / base, 3) for size, ms in batched.items()}
    print(json.dumps(result, indent=1))


def _ms(call) -> float:
    began = process_time()
    call()
    return (process_time() - began) * 1e3


if __name__ == '__main__':
    main()
