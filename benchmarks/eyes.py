# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How well networks see people: on both demos of Pose2Sim, and on images composed, cut and turned from them.

    python benchmarks/eyes.py [--only networks SinglePerson MultiPerson ...] [--networks full heavy ...]

``networks``: the time of each alone. ``SinglePerson``, ``MultiPerson``: the whole pipeline on a demo, the rig refined
on heavy's keypoints; sides are judged by the other views. ``composed``: two to six people in one image, cut from both
demos and put side by side. ``turned``: the demos' images turned by 90, 180 and 270 degrees. In these two each image is
the first one, so that searches alone find people. ``seated``: the pipeline with four cameras that show the upper part
of one person. ``searches``: the finders' share of the time among four people. ``whole``: how complete feet and faces
are, and how steady their bones (standard deviation of the length over its mean). Times are CPU times of one thread, in
one run; their ratios mean something elsewhere. The result goes to out/bench/eyes.json.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from time import process_time
from typing import Any

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.harness import CACHE, OUT, parser_of, provenance, show, use_one_thread, write_json
from geo_pose_ros.arrays import NS_PER_S, BoolArray, FloatArray, UInt8Array
from geo_pose_ros.calibration.calibrate import calibrate
from geo_pose_ros.demo.footage import fetch_footage
from geo_pose_ros.detection import Detector, create_detector
from geo_pose_ros.detection.blazepose.keypoints import BlazePoseKeypoints
from geo_pose_ros.detection.blazepose.person import BlazePosePersons
from geo_pose_ros.detection.matching import covered_share, distance, extent
from geo_pose_ros.detection.models.catalogue import find_model, path_of
from geo_pose_ros.detection.models.profiles import networks_of
from geo_pose_ros.detection.movenet.keypoints import SingleposeKeypoints
from geo_pose_ros.detection.movenet.persons import MultiposePersons
from geo_pose_ros.detection.regions import full_image_square
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.detection.top_down import TopDownDetector
from geo_pose_ros.evaluation.quality import ObservedSet, bone_length_cv, measured
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.stats import nan_median
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.pipeline import PosePipeline, to_output
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.skeleton import BODY17, BODY33, map_to_body17, mirror_of
from geo_pose_ros.types import Camera, CameraRig, Frame, FrameSet, Keypoints2D, PredictedPeople

NETWORKS: Mapping[str, DetectorConfig] = {
    'full, one finder': DetectorConfig(profile='fast'), 'full': DetectorConfig(profile='balanced'),
    'heavy': DetectorConfig(profile='accurate'), 'thunder': DetectorConfig(name='movenet', profile='balanced'),
}
SCENES = {'SinglePerson': ('person', 1), 'MultiPerson': ('people', 2)}
START_NS, RATE_HZ = 1_000_000_000, 60.0
# The groups of joints whose sides a detector exchanges together, by their left joints.
LIMBS = (('left_shoulder', 'left_elbow', 'left_wrist'), ('left_hip', 'left_knee', 'left_ankle'))
CUTS = {f'{j}s': [BODY17.index(f'{side}_{j}') for side in ('left', 'right')] for j in ('knee', 'hip', 'elbow')}
# What is left of a person below whose elbows the image ends.
SEEN = [BODY17.index(name) for name in ('head', 'thorax', 'left_shoulder', 'right_shoulder')]
# By title: images, with the people in them; how often each is seen, ten times a second; the roll of the cameras, rad.
Tables = dict[str, tuple[Sequence[tuple[UInt8Array, FloatArray]], int, float]]
# Joints beyond body17, by what their names hold.
FURTHER = {
    'feet': ('heel', 'foot_index'), "hands' bases": ('pinky', 'thumb', 'left_index', 'right_index'),
    'face': ('eye', 'ear', 'mouth'),
}
# Images of ``searches``.
SEARCHED = 60
# A person is found by a detection within this distance, by its extent.
NEAR = 0.2
# The share of the joints of a double that lie on somebody.
DOUBLE = 0.3


def videos_of(scene: str) -> tuple[CameraRig, tuple[Path, ...]]:
    """Return the rig of a demo and its videos."""
    footage = fetch_footage(CACHE, SCENES[scene][0])
    return read_calibration(footage.calibration), footage.videos


def sets_of(rig: CameraRig, videos: Sequence[Path], every: int = 1) -> Iterator[FrameSet]:
    """Yield every N-th set, images halved as a compressed image of their size is decoded."""
    captures = {path.stem: cv2.VideoCapture(str(path)) for path in videos}
    for index in range(10_000):
        grabbed = [capture.grab() for capture in captures.values()]
        if not all(grabbed):
            return
        if index % every:
            continue
        read = {name: capture.retrieve() for name, capture in captures.items()}
        stamp_ns = START_NS + round(index * 1e9 / RATE_HZ)
        frames = {name: Frame(name, stamp_ns, halved(image), 2) for name, (_, image) in read.items()}
        yield FrameSet({name: frames[name] for name in rig.names})


def halved(image: UInt8Array) -> UInt8Array:
    """Return the image at half its size."""
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def observe(
    rig: CameraRig, videos: Sequence[Path], config: DetectorConfig, every: int = 1, skeleton: str = 'body17',
    cut_at: tuple[Sequence[ObservedSet], Sequence[int]] | None = None,
) -> tuple[list[ObservedSet], list[Mapping[str, Keypoints2D]], list[float], int]:
    """Return what a demo gives: sets, published keypoints by set, the CPU ms of each set, the people in all images.

    Keypoints of the sets are the detector's, sides as it has them. ``cut_at``: images end below these joints of the
    first body.
    """
    observed, published, spent_ms, people = [], [], [], 0
    with PosePipeline(rig, PipelineConfig(detector=replace(config, workers=1), skeleton=skeleton)) as pipeline:
        pipeline.load()
        for index, frames in enumerate(sets_of(rig, videos, every)):
            if cut_at is not None:
                frames = cut_below(rig, frames, cut_at[0][index].bodies.xyz[0, cut_at[1]])
            began = process_time()
            result = pipeline.process(frames)
            spent_ms.append((process_time() - began) * 1e3)
            published.append(result.keypoints)
            people += sum(len(k.xy) for k in result.keypoints.values())
            found = to_output(result.views.keypoints, pipeline.skeleton)
            observed.append(ObservedSet(frames.stamp_ns, found, result.bodies))
    return observed, published, spent_ms, people


def cut_below(rig: CameraRig, frames: FrameSet, joints: FloatArray) -> FrameSet:
    """Return the frames down to the lower of ``joints`` (J, 3) m."""
    cut_frames = {}
    for name, frame in frames.frames.items():
        bottom = int(np.clip(np.nanmax(frame.from_raw(project_world(rig[name], joints))[:, 1]), 40, 10_000))
        cut_frames[name] = replace(frame, image=np.ascontiguousarray(frame.image[:bottom]))
    return FrameSet(cut_frames)


def refined(rig: CameraRig, observed: Sequence[ObservedSet]) -> CameraRig:
    """Return the rig, refined by what its cameras saw."""
    return calibrate({name: [seen.keypoints[name] for seen in observed] for name in rig.names}, rig).rig


@cache
def seen_of(scene: str, network: str, skeleton: str = 'body17') -> tuple[CameraRig, list[ObservedSet]]:
    """Return the refined rig of a demo, and what a network sees in it."""
    rig, videos = videos_of(scene)
    observed = observe(rig, videos, NETWORKS[network], skeleton=skeleton)[0]
    return refined(rig, observed), observed


def in_image(projected: FloatArray, camera: Camera) -> BoolArray:
    """Return (B,) which bodies, projected to (B, J, 2) px, have most of their joints in the image."""
    size = camera.intrinsics.width, camera.intrinsics.height
    inside = ((projected >= 0.0) & (projected < size)).all(-1)
    return np.asarray(inside.mean(1) > 0.5)


def left_out(
    rig: CameraRig, observed: Sequence[ObservedSet], published: Sequence[Mapping[str, Keypoints2D]]
) -> tuple[FloatArray, int, list[int]]:
    """Return the px (n,) of left-out cameras' joints, how many limb groups were compared, and how many exchanged.

    The latter of what was observed, and of the keypoints that the pipeline published of it.
    """
    config = PipelineConfig()
    least = config.detector.min_confidence
    groups = [[BODY17.index(name) for name in names] for names in LIMBS]
    mirror = mirror_of(BODY17)
    errors: list[FloatArray] = [np.zeros(0)]
    compared, exchanged = 0, [0, 0]
    for name in rig.names:
        with PosePipeline(rig.subset(tuple(other for other in rig.names if other != name)), config) as pipeline:
            for seen, shown in zip(observed, published, strict=True):
                rest = {other: k for other, k in seen.keypoints.items() if other != name}
                bodies = measured(pipeline.fuse(seen.stamp_ns, rest).bodies)
                found = seen.keypoints[name]
                if not len(bodies.xyz) or not len(found.xy):
                    continue
                projected = project_world(rig[name], bodies.xyz)
                projected = projected[in_image(projected, rig[name])]
                people = np.where((found.confidence >= least)[..., None], found.xy, np.nan)
                # Who is farther than a body's extent from all free detections is hidden from this camera.
                apart = distance(projected[:, None], people[None]) / extent(projected)[:, None]
                for body, row in zip(*linear_sum_assignment(np.fmin(apart, 1.0)), strict=True):
                    if not apart[body, row] < 1.0:
                        continue
                    gap = np.linalg.norm(projected[body] - people[row], axis=-1)
                    errors.append(gap[np.isfinite(gap)])
                    for of_whom, xy in enumerate((people[row], shown[name].xy[row])):
                        straight = np.linalg.norm(projected[body] - xy, axis=-1)
                        crossed = np.linalg.norm(projected[body] - xy[mirror], axis=-1)
                        for joints in groups:
                            both = [*joints, *mirror[joints]]
                            compared += int(np.isfinite(gap[both]).any() and not of_whom)
                            exchanged[of_whom] += int(nan_median(crossed[both]) < nan_median(straight[both]))
    return np.concatenate(errors), compared, exchanged


def jitter(observed: Sequence[ObservedSet]) -> float:
    """Return the mean size of the joints' second differences, m/s^2."""
    tracks: dict[int, list[FloatArray]] = {}
    for seen in observed:
        for body_id, xyz in zip(seen.bodies.body_ids, seen.bodies.xyz, strict=True):
            tracks.setdefault(int(body_id), []).append(xyz)
    values = [np.linalg.norm(np.diff(np.stack(xyz), 2, axis=0), axis=-1).ravel() for xyz in tracks.values()]
    return float(np.nanmean(np.concatenate(values)) * RATE_HZ**2)


def demo(
    networks: Mapping[str, DetectorConfig], every: int, scenes: Sequence[str] = tuple(SCENES)
) -> dict[str, Any]:
    """Measure the whole pipeline on demos."""
    del every
    rows: dict[str, Any] = {}
    for scene, (_, people) in SCENES.items():
        if scene not in scenes:
            continue
        (fine, _), videos = seen_of(scene, 'heavy'), videos_of(scene)[1]
        table = {}
        for name, config in networks.items():
            observed, published, spent_ms, found = observe(fine, videos, config)
            px, compared, (exchanged, still) = left_out(fine, observed, published)
            table[name] = {
                'left_out_px': round(float(np.median(px)), 2), 'left_out_mean_px': round(float(px.mean()), 2),
                'limb_groups': compared, 'exchanged': exchanged, 'published_exchanged': still,
                'jitter_m_s2': round(jitter(observed), 1),
                'bodies_per_set': round(float(np.mean([len(o.bodies.xyz) for o in observed])), 3),
                'people_per_image': round(found / len(observed) / len(fine), 3),
                'ms_per_set': round(float(np.mean(spent_ms)), 1),
            }
            table[name]['ratio'] = round(table[name]['ms_per_set'] / next(iter(table.values()))['ms_per_set'], 2)
        show(f'{scene}, {people} people', table)
        rows[scene] = table
    return rows


@cache
def known_people(every: int) -> list[tuple[UInt8Array, FloatArray]]:
    """Return images of both demos (H, W, 3), and the body17 joints (P, 17, 2) px of the people in them.

    Joints are of the bodies that heavy gives from all cameras, projected.
    """
    found = []
    for scene, (_, people) in SCENES.items():
        rig, videos = videos_of(scene)
        observed, *_ = observe(rig, videos, NETWORKS['heavy'], every)
        for seen, frames in zip(observed, sets_of(rig, videos, every), strict=True):
            # Who stands in the background is seen by few.
            bodies = seen.bodies.select(np.median(seen.bodies.num_views, 1) >= 3)
            if len(bodies) != people:
                continue
            for name, frame in frames.frames.items():
                xy = frame.from_raw(project_world(rig[name], bodies.xyz))
                found.append((frame.image, xy))
    return found


def detect_once(
    detector: Detector, image: UInt8Array, camera: str, repeat: int, roll_rad: float
) -> tuple[FloatArray, float]:
    """Return the people (P, 17, 2) px in an image of a camera of which nobody is known, and the CPU ms."""
    began, stamp_ns = process_time(), repeat * NS_PER_S // 10
    nobody = PredictedPeople(
        camera, stamp_ns, BODY17, np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros(0, np.int64), roll_rad
    )
    seen: Keypoints2D = detector.detect({camera: Frame(camera, stamp_ns, image)}, {camera: nobody})[camera]
    spent_ms = (process_time() - began) * 1e3
    xy, confidence = map_to_body17(seen.skeleton).apply(seen.xy, seen.confidence)
    return np.where((confidence >= DetectorConfig().min_confidence)[..., None], xy, np.nan), spent_ms


def matched(people: FloatArray, truth: FloatArray) -> tuple[int, int]:
    """Return how many of ``truth`` (P, 17, 2) a detection of ``people`` is near, and how many doubles there are.

    A double has its joints on the body of one of ``truth``. Others are people in the background, who do not count.
    """
    free = list(range(len(people)))
    hits = 0
    for joints in truth:
        apart = [float(distance(people[i], joints) / extent(joints)) for i in free]
        if apart and np.nanmin([*apart, np.inf]) < NEAR:
            free.pop(int(np.nanargmin(apart)))
            hits += 1
    return hits, sum(bool((covered_share(people[i], truth) >= DOUBLE).any()) for i in free)


def rate(
    networks: Mapping[str, DetectorConfig], images: Sequence[tuple[UInt8Array, FloatArray]], repeats: int,
    roll_rad: float,
) -> dict[str, Any]:
    """Return, by network, the share of people found in ``images`` the last time; see Tables."""
    table = {}
    for name, config in networks.items():
        detector = create_detector(config)
        hits = doubles = people = 0
        spent_ms = []
        for index, (image, truth) in enumerate(images):
            for repeat in range(repeats):
                found, ms = detect_once(detector, image, f'{index}', repeat, roll_rad)
            hit, double = matched(found, truth)
            hits, doubles, people = hits + hit, doubles + double, people + len(truth)
            spent_ms.append(ms)
        detector.close()
        table[name] = {
            'found': round(hits / people, 4), 'doubles_per_image': round(doubles / len(images), 4), 'people': people,
            'images': len(images), 'ms': round(float(np.mean(spent_ms)), 1),
        }
    return table


def composed(every: int) -> Tables:
    """Return images of two to six people: parts of the demos' images side by side, 960 px wide at most."""
    rng = np.random.default_rng(0)
    parts_of = [close_up(image, people) for image, people in known_people(every)]
    images = []
    for _ in range(len(parts_of)):
        wanted = int(rng.integers(2, 7))
        parts: list[tuple[UInt8Array, FloatArray]] = []
        while sum(len(people) for _, people in parts) < wanted:
            parts.append(parts_of[int(rng.integers(len(parts_of)))])
        images.append(side_by_side(parts))
    return {'first image': (images, 1, 0.0), 'after 0.7 s': (images, 8, 0.0)}


def close_up(image: UInt8Array, people: FloatArray) -> tuple[UInt8Array, FloatArray]:
    """Return the part of an image around all its people, and their joints in it."""
    height, width = image.shape[:2]
    low, high = np.nanmin(people, (0, 1)), np.nanmax(people, (0, 1))
    margin = 0.25 * (high - low).max()
    left, top = np.maximum(np.floor(low - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(high + margin), (width, height)).astype(int)
    return image[top:bottom, left:right], people - (left, top)


def side_by_side(parts: Sequence[tuple[UInt8Array, FloatArray]]) -> tuple[UInt8Array, FloatArray]:
    """Return parts at one height in one image of at most 960 x 540 px, and all people."""
    height = min(540.0, 960.0 / sum(part.shape[1] / part.shape[0] for part, _ in parts))
    row, people, left = [], [], 0
    for part, joints in parts:
        scale = height / part.shape[0]
        shown = cv2.resize(part, (max(round(part.shape[1] * scale), 1), round(height)), interpolation=cv2.INTER_AREA)
        row.append(shown)
        people.append(joints * scale + (left, 0.0))
        left += shown.shape[1]
    return np.hstack(row), np.concatenate(people)


def turned(every: int) -> Tables:
    """Return images turned by quarters, as those where the roll of the camera is not known, and where it is."""
    tables: Tables = {}
    for quarters in range(4):
        images = []
        for image, people in known_people(every):
            width, xy = image.shape[1], people
            for _ in range(quarters):
                # np.rot90: counter-clockwise.
                xy = np.stack([xy[..., 1], width - 1.0 - xy[..., 0]], -1)
                width = image.shape[1] + image.shape[0] - width
            images.append((np.ascontiguousarray(np.rot90(image, quarters)), xy))
        tables[f'{90 * quarters} degrees'] = images, 1, 0.0
        if quarters:
            tables[f'{90 * quarters} degrees, roll known'] = images, 1, -0.5 * np.pi * quarters
    return tables


def single_images(networks: Mapping[str, DetectorConfig], every: int, part: str) -> dict[str, Any]:
    """Measure images that are the first ones of their cameras."""
    tables = {}
    for name, (images, repeats, roll_rad) in {'composed': composed, 'turned': turned}[part](every).items():
        tables[name] = rate(networks, images, repeats, roll_rad)
        show(name, tables[name])
    return {part: tables}


def seated(networks: Mapping[str, DetectorConfig], every: int) -> dict[str, Any]:
    """Measure the whole pipeline where all cameras show one person only down to knees, hips or elbows."""
    del every
    rig, videos = videos_of('SinglePerson')
    tables: dict[str, Any] = {}
    truth = observe(rig, videos, NETWORKS['heavy'], 2)[0]
    for name, joints in CUTS.items():
        table = {}
        for network, config in networks.items():
            observed, _, _, people = observe(rig, videos, config, 2, cut_at=(truth, joints))
            # m; who is farther stands in the background.
            apart = [
                nan_median(np.linalg.norm(seen.bodies.xyz - whole.bodies.xyz[0], axis=-1)[:, SEEN])
                for seen, whole in zip(observed, truth, strict=True)
            ]
            table[network] = {
                'bodies per set': round(float(np.mean([(gaps < 0.7).sum() for gaps in apart])), 3),
                'recall': round(float(np.mean([(gaps < 0.2).any() for gaps in apart])), 3),
                'all bodies per set': round(float(np.mean([len(gaps) for gaps in apart])), 3),
                'detections per image': round(people / len(observed) / len(rig), 3),
            }
        tables[f'cut below the {name}'] = table
        show(f'one person before four cameras, cut below the {name}', table)
    return {'seated': tables}


def networks_alone(networks: Mapping[str, DetectorConfig], every: int) -> dict[str, Any]:
    """Return the CPU ms of each network that is here, in turns: of one person read, or of one image searched."""
    del networks, every
    rig, videos = videos_of('SinglePerson')
    image = next(iter(next(sets_of(rig, videos)).frames.values())).image
    square = full_image_square(image.shape[1], image.shape[0])
    engine = EngineConfig()
    blazepose = BlazePoseKeypoints(engine)
    calls = {
        'blazepose_person': BlazePosePersons(engine).find_people,
        'movenet_multipose': MultiposePersons(engine, blazepose.propose_regions).find_people,
        'blazepose_full': blazepose.estimate_keypoints,
        'blazepose_heavy': BlazePoseKeypoints(engine, find_model('blazepose_heavy')).estimate_keypoints,
    }
    thunder = path_of('movenet_thunder')
    if thunder is not None:
        calls['movenet_thunder'] = SingleposeKeypoints(engine, thunder).estimate_keypoints
    spent_ms: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(25):
        for name, call in calls.items():
            began = process_time()
            call([(image, square)])
            spent_ms[name].append((process_time() - began) * 1e3)
    table = {name: {'ms': round(float(np.median(ms)), 1)} for name, ms in spent_ms.items()}
    show('networks', table)
    return {'networks': table}


def whole(networks: Mapping[str, DetectorConfig], every: int) -> dict[str, Any]:
    """Measure the further joints of body33 on both demos, rig refined, by what heavy sees."""
    del networks, every
    rows: dict[str, Any] = {}
    for scene in SCENES:
        rig, observed = seen_of(scene, 'heavy', 'body33')
        with PosePipeline(rig, replace(PipelineConfig(), skeleton='body33')) as pipeline:
            bodies = [pipeline.fuse(seen.stamp_ns, seen.keypoints).bodies for seen in observed]
        known = np.concatenate([np.isfinite(one.xyz).all(-1) for one in bodies])
        variation, table = bone_length_cv(BODY33, bodies), {}
        for part, words in FURTHER.items():
            joints = [j for j, name in enumerate(BODY33.joint_names)
                      if j >= len(BODY17) and any(word in name for word in words)]
            cv = [variation[bone] for bone, ends in zip(BODY33.bones, BODY33.edges, strict=True)
                  if bone in variation and not set(ends).isdisjoint(joints)]
            table[part] = {
                'bodies': len(known), 'complete': round(float(known[:, joints].mean()), 4),
                'least complete': round(float(known[:, joints].mean(0).min()), 4),
                'bone CV, median': round(float(np.median(cv)), 4), 'bone CV, worst': round(float(max(cv)), 4),
            }
        rows[scene] = table
        show(f'{scene}, body33', table)
    return {'whole': rows}


def timed(network: Any, method: str, spent_ms: list[float]) -> Any:
    """Return the network, whose ``method`` adds its CPU time to ``spent_ms``."""
    call = getattr(network, method)

    def measured_call(images: Any) -> Any:
        began = process_time()
        found = call(images)
        spent_ms[0] += (process_time() - began) * 1e3
        return found

    setattr(network, method, measured_call)
    return network


def searches(networks: Mapping[str, DetectorConfig], every: int) -> dict[str, Any]:
    """Return, by rate, the share of both finders in the detection of four or more predicted people, composed."""
    del networks
    engine = EngineConfig()
    reader, searched_ms = BlazePoseKeypoints(engine), [0.0]
    finders = [
        timed(finder, 'find_people', searched_ms)
        for finder in (MultiposePersons(engine, reader.propose_regions), BlazePosePersons(engine))
    ]
    image, people = next(shown for shown in composed(every)['first image'][0] if len(shown[1]) == 4)
    rows: dict[str, Any] = {}
    for rate_hz in (10, 30):
        searched_ms[0] = 0.0
        detector, found, began = TopDownDetector(finders, reader, DetectorConfig()), 0, process_time()
        for index in range(SEARCHED):
            stamp_ns = index * NS_PER_S // rate_hz
            predicted = PredictedPeople('cam', stamp_ns, BODY17, people, np.full((4, 17), 3.0), np.arange(4))
            seen = detector.detect({'cam': Frame('cam', stamp_ns, image)}, {'cam': predicted})
            found += int((seen['cam'].hints >= 0).sum())
        spent_ms = (process_time() - began) * 1e3
        rows[f'{rate_hz} Hz'] = {
            'ms per image': round(spent_ms / SEARCHED, 1), 'found': round(found / SEARCHED / 4, 3),
            'share of finders': round(searched_ms[0] / spent_ms, 3),
        }
    show('four people, both finders', rows)
    return {'searches': {'both finders': rows}}


PARTS = {
    'networks': networks_alone, 'SinglePerson': partial(demo, scenes=['SinglePerson']),
    'MultiPerson': partial(demo, scenes=['MultiPerson']), 'seated': seated, 'searches': searches, 'whole': whole,
    **{part: partial(single_images, part=part) for part in ('composed', 'turned')},
}


def main() -> None:
    """Measure, print and write."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--only', nargs='*', choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument('--networks', nargs='*', choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument('--every', type=int, default=10, help='every N-th set of the demos for single images')
    arguments = parser.parse_args()
    here = {
        name: NETWORKS[name] for name in arguments.networks
        if all(path_of(network) for network in (networks_of(NETWORKS[name])[0], *networks_of(NETWORKS[name])[1]))
    }
    path = OUT / 'eyes.json'
    result: dict[str, Any] = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    for name in arguments.only:
        result |= provenance(shlex.join(['python', *sys.argv])) | PARTS[name](here, arguments.every)
        write_json(path, result)


if __name__ == '__main__':
    main()
