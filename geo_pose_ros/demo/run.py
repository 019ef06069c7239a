"""Run the demo: import, pose_node, play, record, then figures."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..bags.import_videos import import_videos
from ..bags.read import BagReader
from ..errors import BagError
from ..evaluation.quality import Observation
from ..messages.image import frame_from_message
from ..pipeline import PosePipeline
from ..rigs.files import read_calibration
from ..rigs.rig_file import dump_rig
from ..rigs.topics import choose_cameras, rig_from_bag
from ..scene.settings import PipelineConfig
from ..types import CameraRig, Frame
from ..view.figures import overlay, plot_bodies
from .footage import fetch_footage
from .summary import drops, latency_ms, quality_summary, read_diagnostics, read_observations, stage_ms

NODE = '/pose_node'
BODIES = f'{NODE}/bodies'
# Not the annotated pictures, which the node draws only while somebody looks at them.
RECORDED = f'{NODE}/(bodies|markers|skeleton|keypoints/.*)|/diagnostics'
# Long enough for a cold start of four detectors on a slow machine.
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S, _VIEW_TIMEOUT_S = 30.0, 60.0
# The counters of the last sets are in the next diagnostics.
_LAST_DIAGNOSTICS_S = 2.5
_VIDEO_SETS = 120


@dataclass(frozen=True, slots=True)
class Played:
    """Where a published stamp lies in the bag: loops of ``loop_ns`` from ``origin_ns``."""

    origin_ns: int
    loop_ns: int
    start_ns: int

    def phase(self, stamp_ns: int) -> float:
        """Return how far into its loop a stamp lies, in [0, 1)."""
        return (stamp_ns - self.origin_ns) % self.loop_ns / self.loop_ns

    def bag_stamp_ns(self, stamp_ns: int) -> int:
        """Return the bag's time of a published stamp."""
        return self.start_ns + (stamp_ns - self.origin_ns) % self.loop_ns


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is played: a bag with its rig, image topics and first stamp."""

    bag: Path
    rig: CameraRig
    images: tuple[str, ...]
    start_ns: int


def run_demo(out: Path, cache: Path, scene: str, loops: int, *, view: bool = False) -> None:
    """Run the whole and write its files under ``out``; ``view``: with the 3D viewer, while the bag is played.

    Raises:
        BagError: if a part of it failed; names the part and its log.
    """
    material = prepare(out, cache, scene)
    print(f'3/5  pose_node on live topics, the bag played {loops} times at real time')
    played = run_live(out, material, loops, view=view)
    print('4/5  summary')
    observations = read_observations(out / 'recording', BODIES)
    times = Played(int(played['origin_ns']), int(played['loop_ns']), material.start_ns)
    summary = summarise(out / 'recording', material.rig, observations, played)
    (out / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    print('5/5  pictures')
    draw(out, material.bag, material.rig, observations, times)
    _print_result(out, summary)


def prepare(out: Path, cache: Path, scene: str) -> Material:
    """Fetch the footage, import it into ``out`` unless it is there, and write its rig for the node.

    Raises:
        BagError: if the footage cannot be fetched or imported.
    """
    out.mkdir(parents=True, exist_ok=True)
    print(f'1/5  footage: Pose2Sim {scene} (BSD-3-Clause)')
    footage = fetch_footage(cache, scene)
    bag = out / 'footage'
    print(f'2/5  import into {bag}')
    if not bag.exists():
        import_videos(footage.videos, read_calibration(footage.calibration), bag)
    with BagReader(bag) as reader:
        cameras = choose_cameras(reader)
        rig = rig_from_bag(reader, tuple(cameras), '')
        start_ns = reader.start_ns
    (out / 'rig.yaml').write_text(dump_rig(rig))
    return Material(bag, rig, tuple(topics.image for topics in cameras.values()), start_ns)


def summarise(
    recording: Path, rig: CameraRig, observations: Sequence[Observation], played: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the contents of summary.json."""
    images = [count for topic, count in played['published'].items() if '/image_raw' in topic]
    elapsed_s = (observations[-1].stamp_ns - observations[0].stamp_ns) / 1e9
    diagnostics = read_diagnostics(recording)
    return {
        'frame_sets_in': max(images),
        'frame_sets_published': len(observations),
        'drops': drops(diagnostics),
        'rate_hz': round((len(observations) - 1) / elapsed_s, 2) if elapsed_s > 0.0 else 0.0,
        'latency_ms': latency_ms(recording, BODIES),
        'stage_ms': stage_ms(diagnostics),
        **quality_summary(rig, list(observations), PipelineConfig()),
    }


def run_live(
    out: Path, material: Material, loops: int, watch: Callable[[int], None] | None = None, *, view: bool = False
) -> dict[str, Any]:
    """Start recorder and node, play the bag, stop both; return the player's report.

    Args:
        out: gets ``recording`` and ``logs``; holds the rig that ``prepare`` wrote.
        watch: gets the node's process id some times a second while the bag is played.
        view: serve the live viewer meanwhile, and say where.

    Raises:
        BagError: if a part of it failed; names the part and its log.
    """
    from ..ros.io.middleware import large_data_environment

    environment = {**os.environ, **large_data_environment(os.environ), 'PYTHONUNBUFFERED': '1'}
    environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # A domain of its own: the demo neither hears nor disturbs other ROS nodes of the network.
    environment.setdefault('ROS_DOMAIN_ID', str(random.SystemRandom().randrange(1, 100)))
    logs = out / 'logs'
    logs.mkdir(exist_ok=True)
    report = out / 'played.json'
    record = [*geo_pose('record'), '--out', str(out / 'recording'), '--overwrite', '--regex', RECORDED]
    node = [*geo_pose('node'), '--ros-args', '-p', f'rig:={(out / "rig.yaml").resolve()}']
    play = [
        *geo_pose('play'), str(material.bag), '--restamp', '--wait', str(_START_TIMEOUT_S), '--loop', str(loops),
        '--report', str(report), '--topics', *material.images,
    ]
    viewer = [*geo_pose('view'), '--live', '--node', NODE, '--rig', str(out / 'rig.yaml')]
    with contextlib.ExitStack() as stack:
        processes = {
            name: stack.enter_context(running(name, command, logs, environment))
            for name, command in (('record', record), ('pose_node', node), *((('view', viewer),) if view else ()))
        }
        if view:
            print(_address(processes['view'], logs / 'view.log'), flush=True)
        player = subprocess.Popen(play, env=environment, stderr=(logs / 'play.log').open('w'))
        while player.poll() is None:
            for name, process in processes.items():
                if process.poll() is not None:
                    player.terminate()
                    raise BagError(f'{name} ended with status {process.returncode}: {last_line(logs / f"{name}.log")}')
            if watch is not None:
                watch(processes['pose_node'].pid)
            time.sleep(0.1)
        if player.returncode != 0:
            raise BagError(f'play ended with status {player.returncode}: {last_line(logs / "play.log")}')
        time.sleep(_LAST_DIAGNOSTICS_S)
    played: dict[str, Any] = json.loads(report.read_text())
    return played


def _address(viewer: subprocess.Popen[bytes], log: Path) -> str:
    """Return the line in which the viewer says where it is, as soon as it does."""
    ends_s = time.monotonic() + _VIEW_TIMEOUT_S
    while viewer.poll() is None and time.monotonic() < ends_s:
        said = [line for line in log.read_text().splitlines() if 'http://' in line]
        if said:
            return said[0]
        time.sleep(0.1)
    raise BagError(f'The viewer did not start: {last_line(log)}')


def geo_pose(command: str) -> list[str]:
    """Return the words that run a command of this program with this Python."""
    return [sys.executable, '-m', 'geo_pose_ros.cli', command]


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], logs: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process, and end it as a service manager does: what a shell starts in the background ignores SIGINT."""
    with (logs / f'{name}.log').open('w') as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def last_line(log: Path) -> str:
    """Return the end of a log, for a message."""
    lines = log.read_text().strip().splitlines()
    return f'{lines[-1] if lines else "no output"} (all of it in {log})'


def draw(out: Path, bag: Path, rig: CameraRig, observations: Sequence[Observation], times: Played) -> None:
    """Write overlay.png, overlay.mp4 and bodies.png."""
    complete = [seen for seen in observations if len(seen.bodies) and len(seen.keypoints) == len(rig)]
    if not complete:
        raise BagError('The node published no body seen by all cameras; see logs/pose_node.log.')
    shown = complete[:_VIDEO_SETS]
    frames = _pictures(bag, rig, shown, times)
    rate_hz = (len(shown) - 1) / max((shown[-1].stamp_ns - shown[0].stamp_ns) / 1e9, 1e-3)
    # Half-way through a loop: where the footage starts again people jump, and the last bodies are still predicted.
    pictured = min(shown, key=lambda seen: abs(times.phase(seen.stamp_ns) - 0.5))
    writer = None
    for seen in shown:
        images = {name: frames[name, found.stamp_ns] for name, found in seen.keypoints.items()}
        if seen is pictured:
            cv2.imwrite(str(out / 'overlay.png'), overlay(rig, images, seen.keypoints, seen.bodies, height_px=900))
        picture = overlay(rig, images, seen.keypoints, seen.bodies, height_px=480)
        picture = np.ascontiguousarray(picture[:, : picture.shape[1] // 2 * 2])
        if writer is None:
            size = (picture.shape[1], picture.shape[0])
            writer = cv2.VideoWriter(str(out / 'overlay.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), rate_hz, size)
        writer.write(picture)
    if writer is not None:
        writer.release()
    one_loop = [seen for seen in complete if seen.stamp_ns < complete[0].stamp_ns + times.loop_ns]
    over_time = [seen.bodies for seen in one_loop[:: max(1, len(one_loop) // 6)]]
    plot_bodies(out / 'bodies.png', [('over time', over_time), *_by_cameras(rig, one_loop)], rig)


def _by_cameras(rig: CameraRig, seen: Sequence[Observation]) -> list[tuple[str, list[Any]]]:
    """Return panels of the last instant as one, two and all cameras give it."""
    panels = []
    for count in sorted({1, 2, len(rig)}):
        names = rig.names[:count]
        with PosePipeline(rig.subset(list(names))) as pipeline:
            for instant in seen:
                kept = {name: k for name, k in instant.keypoints.items() if name in names}
                bodies = pipeline.fuse(instant.stamp_ns, kept).bodies
        panels.append((f'{count} camera{"s" if count > 1 else ""}', [bodies]))
    return panels


def _pictures(bag: Path, rig: CameraRig, shown: Sequence[Observation], times: Played) -> dict[tuple[str, int], Frame]:
    """Return the frames of the bag, half size, in which the keypoints of ``shown`` were found, by camera and stamp."""
    found: dict[tuple[str, int], Frame] = {}
    with BagReader(bag) as reader:
        topics = {name: camera.image for name, camera in choose_cameras(reader, rig.names).items()}
        received_ns: dict[str, list[int]] = {topic: [] for topic in topics.values()}
        for message in reader.messages(tuple(received_ns)):
            received_ns[message.topic].append(message.time_ns)
        # Message of the bag -> the stamps it was published with, in one loop or another.
        published: dict[tuple[str, int], list[int]] = {}
        for seen in (seen.keypoints[name] for seen in shown for name in topics):
            topic = topics[seen.camera]
            there_ns = np.array(received_ns[topic])
            nearest_ns = int(there_ns[np.abs(there_ns - times.bag_stamp_ns(seen.stamp_ns)).argmin()])
            published.setdefault((topic, nearest_ns), []).append(seen.stamp_ns)
        by_topic = {topic: name for name, topic in topics.items()}
        for message in reader.messages(tuple(by_topic)):
            stamps_ns = published.get((message.topic, message.time_ns), ())
            if stamps_ns:
                name = by_topic[message.topic]
                side = max(rig[name].intrinsics.width, rig[name].intrinsics.height)
                frame = frame_from_message(message.decode(), name, max_side_px=side // 2 + 1)
                found.update({(name, stamp): frame for stamp in stamps_ns})
    return found


def _print_result(out: Path, summary: Mapping[str, Any]) -> None:
    latency, quality = summary['latency_ms'], summary['reprojection_px']
    print(
        f'\n{summary["frame_sets_published"]} of {summary["frame_sets_in"]} frame sets published, '
        f'{summary["rate_hz"]} per second; latency {latency["p50"]:.0f} ms median, {latency["p95"]:.0f} ms p95\n'
        f'reprojection {quality["median"]} px median; left-out camera {summary["leave_one_out_px"]} px; '
        f'bone length varies by {summary["bone_length_cv"]["median"]:.1%}\n\nLook at\n'
        f'  {out}/overlay.png    the views with the reprojected skeleton\n'
        f'  {out}/bodies.png     the skeletons in 3D\n'
        f'  {out}/overlay.mp4    the same over time\n'
        f'  {out}/summary.json   the numbers\n'
        f'  {out}/recording      the bag that the node\'s output was recorded to'
    )
