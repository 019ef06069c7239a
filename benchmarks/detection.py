# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What live detection costs: whole sets of both demos, beside another commit; and searches among four people.

    python benchmarks/detection.py [--against REV] [--turns 3] [--only live searches]

``live``: JPEG images of a demo's four cameras at 30 Hz through the whole pipeline, as the node runs it, for each
profile of a CPU; of two commits in turns. The ratio is sets per second by this commit over those by the other, in CPU
time of all threads and in wall time. ``searches``: mosaics of the demo's four cameras are images of four people at
known positions; the share of both finders in the detection time. The result goes to out/bench/detection.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import cv2
import numpy as np

from benchmarks.eyes import SCENES, videos_of
from benchmarks.harness import OUT, ROOT, parser_of, provenance, show, use_one_thread, write_json
from benchmarks.pipeline import Worker, tree_of
from geo_pose_ros.arrays import NS_PER_S, FloatArray, UInt8Array
from geo_pose_ros.detection.blazepose.keypoints import BlazePoseKeypoints
from geo_pose_ros.detection.blazepose.person import BlazePosePersons
from geo_pose_ros.detection.movenet.persons import MultiposePersons
from geo_pose_ros.detection.regions import Regions
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.detection.top_down import TopDownDetector
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.skeleton import BODY17, map_to_body17
from geo_pose_ros.types import Frame, PredictedPeople

# What a CPU runs live, at a high rate and at a low one.
PROFILES = ('fast', 'balanced')
# Sets of a demo, at half of its 60 Hz.
SETS, EVERY = 45, 2
# Of a quarter of a mosaic, px.
_HEIGHT, _WIDTH = 480, 540


def store(scene: str) -> Path:
    """Return the file with the rig and the JPEG images of a demo; it is made at the first call."""
    path = OUT / f'images_{scene}.npz'
    if not path.is_file():
        rig, videos = videos_of(scene)
        captures = [cv2.VideoCapture(str(next(v for v in videos if v.stem == name))) for name in rig.names]
        files = []
        for _ in range(SETS):
            read = [[capture.read()[1] for capture in captures] for _ in range(EVERY)]
            files += [cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1] for image in read[0]]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path, K=[c.intrinsics.K for c in rig.cameras], D=[c.intrinsics.D for c in rig.cameras],
            size=[(c.intrinsics.width, c.intrinsics.height) for c in rig.cameras],
            cam_from_world=[c.cam_from_world for c in rig.cameras], jpeg=np.concatenate(files),
            length=[len(one) for one in files],
        )
    return path


def live(against: str, turns: int) -> dict[str, Any]:
    """Return, by demo and profile, what a set costs, and the ratio to another commit."""
    found: dict[str, Any] = {}
    for scene in SCENES:
        workers = {profile: Worker(ROOT, store(scene), True, profile) for profile in PROFILES}
        if against:
            workers[against] = Worker(tree_of(against), store(scene), True, '')
        asked: dict[str, list[Sequence[float]]] = {name: [] for name in workers}
        for _ in range(turns):
            for name, worker in workers.items():
                asked[name].append(worker.ask('live'))
        rows: dict[str, dict[str, float]] = {}
        for name, worker in workers.items():
            with worker:
                spent = np.median(asked[name], 0)
                rows[name] = dict(zip(('CPU ms', 'wall ms', 'bodies', 'people in images'), spent.round(2), strict=True))
        for name in PROFILES if against else ():
            for time in ('CPU ms', 'wall ms'):
                rows[name][f'sets/s, ratio by {time}'] = round(rows[against][time] / rows[name][time], 3)
        show(f'{scene}, live; of a set', rows)
        found[scene] = rows
    return found


class Timed:
    """A network that counts the regions that it reads, and the CPU time that it takes."""

    def __init__(self, network: Any, method: str) -> None:
        self._network, self._method, self.spent_ms, self.regions = network, method, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._network, name)
        return found if name != self._method else lambda images: self._call(found, images)

    def _call(self, method: Any, images: Sequence[tuple[UInt8Array, Regions]]) -> Any:
        began = process_time()
        found = method(images)
        self.spent_ms += (process_time() - began) * 1e3
        self.regions += sum(len(regions) for _, regions in images)
        return found


def mosaics(count: int) -> list[UInt8Array]:
    """Return images (960, 1080, 3) of the four cameras side by side."""
    captures = [cv2.VideoCapture(str(path)) for path in videos_of('SinglePerson')[1]]
    made = []
    for _ in range(count):
        parts = [cv2.resize(capture.read()[1][:, :1080], (_WIDTH, _HEIGHT)) for capture in captures]
        made.append(np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])]))
    return made


def people_of(image: UInt8Array, detector: TopDownDetector, stamp_ns: int) -> FloatArray:
    """Return the body17 joints (P, 17, 2) px of the people that are found in each quarter of a mosaic by itself."""
    people = []
    for row, column in np.ndindex(2, 2):
        name, corner = f'{row}{column}', np.array((column * _WIDTH, row * _HEIGHT))
        part = np.ascontiguousarray(image[corner[1]:, corner[0]:][:_HEIGHT, :_WIDTH])
        seen = detector.detect({name: Frame(name, stamp_ns, part)}, {})[name]
        people.append(map_to_body17(seen.skeleton).apply(seen.xy, seen.confidence)[0][:1] + corner)
    return np.concatenate(people)


def searches(count: int = 60) -> dict[str, Any]:
    """Return, by rate, the share of both finders in the detection of four predicted people."""
    engine = EngineConfig()
    keypoints = BlazePoseKeypoints(engine)
    finders = [MultiposePersons(engine, keypoints.propose_regions), BlazePosePersons(engine)]
    alone = TopDownDetector(finders, keypoints, DetectorConfig())
    known = [(image, people_of(image, alone, i * NS_PER_S // 60)) for i, image in enumerate(mosaics(count))]
    known = [(image, people) for image, people in known if len(people) == 4]
    rows: dict[str, Mapping[str, float]] = {}
    for rate_hz in (10, 30):
        timed = [Timed(finder, 'find_people') for finder in finders]
        reader = Timed(keypoints, 'estimate_keypoints')
        detector, found, began = TopDownDetector(timed, reader, DetectorConfig()), 0, process_time()
        for index, (image, people) in enumerate(known):
            stamp_ns = index * NS_PER_S // rate_hz
            predicted = PredictedPeople('cam', stamp_ns, BODY17, people, np.full((4, 17), 3.0), np.arange(4))
            seen = detector.detect({'cam': Frame('cam', stamp_ns, image)}, {'cam': predicted})
            found += int((seen['cam'].hints >= 0).sum())
        spent_ms, searched_ms = (process_time() - began) * 1e3, sum(finder.spent_ms for finder in timed)
        rows[f'{rate_hz} Hz'] = {
            'images': len(known), 'ms per image': round(spent_ms / len(known), 1),
            'share of finders': round(searched_ms / spent_ms, 3), 'found': round(found / len(known) / 4, 3),
            'squares searched': sum(finder.regions for finder in timed), 'regions read': reader.regions,
        }
    show('four people, both finders', rows)
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--against', metavar='REV', default='', help='measure a commit too, in turns')
    parser.add_argument('--turns', type=int, default=3, help='runs of each case')
    parser.add_argument('--only', nargs='*', choices=('live', 'searches'), default=['live', 'searches'])
    arguments = parser.parse_args()
    use_one_thread()
    result = provenance('python benchmarks/detection.py')
    if 'live' in arguments.only:
        result['live'] = live(arguments.against, arguments.turns)
    if 'searches' in arguments.only:
        result['searches'] = searches()
    write_json(OUT / 'detection.json', result)


if __name__ == '__main__':
    main()
