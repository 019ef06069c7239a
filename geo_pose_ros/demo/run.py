# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Run the demo: import, pose_node, play, record, then figures."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from ..arrays import NS_PER_S
from ..bags.recording import Recording
from ..bags.write import NODE, BagWriter
from ..errors import BagError, ConfigError
from ..evaluation.quality import ObservedSet
from ..pipeline import PosePipeline
from ..scene.settings import PipelineConfig
from ..session.video import write_video
from ..types import Bodies3D, CameraRig
from ..view.drawing import overlay, plot_bodies
from ..view.playback import Playback
from ..view.settings import ViewConfig
from ..view.stage import Stage
from .live import LiveSystem, Material, geo_pose, prepare
from .summary import (
    Json,
    drops,
    latency_ms,
    quality_summary,
    read_diagnostics,
    read_observations,
    sides_repaired,
    stage_ms,
)

# Not the annotated images, which the node draws only while somebody looks at them.
RECORDED = f'{NODE}/(bodies|markers|skeleton|keypoints/.*)|/diagnostics'
_VIEW_TIMEOUT_S = 60.0
# The counters of the last sets are in the next diagnostics.
_LAST_DIAGNOSTICS_S = 2.5
# Longer side of the images in the still.
_STILL_PX = 960


@dataclass(frozen=True, slots=True)
class Played:
    """Where a published stamp lies in the bag: loops of ``loop_ns`` from ``origin_ns``."""

    origin_ns: int
    loop_ns: int
    start_ns: int

    def loop(self, stamp_ns: int) -> int:
        """Return the number of the loop that a stamp lies in."""
        return (stamp_ns - self.origin_ns) // self.loop_ns

    def phase(self, stamp_ns: int) -> float:
        """Return how far into its loop a stamp lies, in [0, 1)."""
        return (stamp_ns - self.origin_ns) % self.loop_ns / self.loop_ns

    def bag_stamp_ns(self, stamp_ns: int) -> int:
        """Return the bag's time of a published stamp."""
        return self.start_ns + (stamp_ns - self.origin_ns) % self.loop_ns


def run_demo(out: Path, cache: Path, scene: str, loops: int, *, view: bool = False) -> None:
    """Run the whole and write its files under ``out``; ``view``: with the 3D viewer, while the bag is played.

    Raises:
        BagError: if a part of it failed; names the part and its log.
    """
    material = prepare(out, cache, scene)
    print(f'pose_node on live topics, the bag played {loops} times at real time')
    played = run_live(out, material, loops, view=view)
    observations = read_observations(out / 'recording')
    times = Played(int(played['origin_ns']), int(played['loop_ns']), material.start_ns)
    write_replay(out / 'replay', observations, times)
    if view:
        with replaying([out / 'replay', material.bag], material.rig, played['url']):
            _conclude(out, material, observations, times, played)
            print(f'\nThe demo is over. Its replay: {played["url"]}  (Ctrl-C ends)', flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    else:
        _conclude(out, material, observations, times, played)


def _conclude(
    out: Path, material: Material, observations: Sequence[ObservedSet], times: Played, played: Mapping[str, Json]
) -> None:
    """Write summary and figures, and print the result."""
    summary = summarise(out / 'recording', material.rig, observations, played)
    (out / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    print('figures')
    draw(out, material, observations, times)
    _print_result(out, summary)


def write_replay(bag: Path, observations: Sequence[ObservedSet], times: Played) -> None:
    """Write bodies and keypoints of one loop with the stamps of the footage, so that they are shown on its images."""
    loop = most_seen_loop(observations, times)
    if bag.exists():
        shutil.rmtree(bag)
    with BagWriter(bag) as writer:
        for seen in sorted(loop, key=lambda seen: times.bag_stamp_ns(seen.stamp_ns)):
            stamp_ns = times.bag_stamp_ns(seen.stamp_ns)
            writer.write_bodies(replace(seen.bodies, stamp_ns=stamp_ns))
            for name, found in seen.keypoints.items():
                writer.write_keypoints(replace(found, stamp_ns=times.bag_stamp_ns(found.stamp_ns)), name, stamp_ns)


def most_seen_loop(observations: Sequence[ObservedSet], times: Played) -> list[ObservedSet]:
    """Return the sets of the loop that has most of them."""
    loops = Counter(times.loop(seen.stamp_ns) for seen in observations)
    return [seen for seen in observations if times.loop(seen.stamp_ns) == loops.most_common(1)[0][0]]


@contextlib.contextmanager
def replaying(bags: Sequence[Path], rig: CameraRig, url: str) -> Iterator[None]:
    """Serve bags at an address that was served before: the browser that looked there sees them go on."""
    from ..view.viewer import play

    ended = threading.Event()
    with Stage(port=urlsplit(url).port or 0, exact_port=True) as stage, Recording(bags, rig) as recording:
        thread = threading.Thread(
            target=play, args=(stage, recording, ViewConfig(), ended.is_set, 'Demo over: replay'), daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def summarise(
    recording: Path, rig: CameraRig, observations: Sequence[ObservedSet], played: Mapping[str, Json]
) -> dict[str, Json]:
    """Return the contents of summary.json."""
    images = [count for topic, count in played['published'].items() if '/image_raw' in topic]
    elapsed_s = (observations[-1].stamp_ns - observations[0].stamp_ns) / 1e9
    diagnostics = read_diagnostics(recording)
    return {
        'sets_in': max(images),
        'sets_published': len(observations),
        'delivered_hz': round(max(images) / (played['loops'] * played['loop_ns'] / NS_PER_S), 1),
        'drops': drops(diagnostics),
        'sides_repaired': sides_repaired(diagnostics),
        'rate_hz': round((len(observations) - 1) / elapsed_s, 2) if elapsed_s > 0.0 else 0.0,
        'latency_ms': latency_ms(recording),
        'stage_ms': stage_ms(diagnostics),
        **quality_summary(rig, list(observations), PipelineConfig()),
    }


def run_live(
    out: Path, material: Material, loops: int, watch: Callable[[int], None] = lambda pid: None, *, view: bool = False
) -> dict[str, Json]:
    """Start recorder and node, play the bag ``loops`` times, stop both; return the player's report.

    ``out`` gets ``recording`` and ``logs``; it holds the rig that ``prepare`` wrote. ``watch`` gets the node's process
    id some times a second while the bag is played. ``view``: serve the live viewer meanwhile, and say where.

    Raises:
        BagError: if a part of it failed; names the part and its log.
    """
    system = LiveSystem(out)
    report, url = out / 'played.json', ''
    with contextlib.ExitStack() as parts:
        parts.enter_context(system.recorder('recording', RECORDED))
        node = parts.enter_context(system.node())
        if view:
            viewer = [*geo_pose('view'), '--live', '--node', NODE, '--rig', str(out / 'rig.yaml')]
            parts.enter_context(system.running('view', viewer))
            said = system.wait_for_line('view', 'http://', _VIEW_TIMEOUT_S)
            print(said, flush=True)
            url = next(word for word in said.split() if word.startswith('http://'))
        system.finish(
            'play', material.player('--loop', str(loops), '--report', str(report), '--overwrite'),
            lambda: watch(node.pid),
        )
        time.sleep(_LAST_DIAGNOSTICS_S)
    played: dict[str, Json] = json.loads(report.read_text())
    return {**played, 'loops': loops, 'url': url}


def draw(out: Path, material: Material, observations: Sequence[ObservedSet], times: Played) -> None:
    """Write overlay.png and overlay.mp4 of the replay, and bodies.png."""
    rig = material.rig
    complete = [seen for seen in observations if len(seen.bodies) and len(seen.keypoints) == len(rig)]
    if not complete:
        raise BagError('The node published no body seen by all cameras; see logs/pose_node.log.')
    # Within one loop: where the footage starts again people jump, and the last bodies are still predicted.
    one_loop = most_seen_loop(complete, times)
    with Recording([out / 'replay', material.bag], rig) as recording:
        half_ns = times.start_ns + times.loop_ns // 2
        still = min(one_loop, key=lambda seen: abs(times.bag_stamp_ns(seen.stamp_ns) - half_ns))
        shown = Playback(recording, _STILL_PX, images_hz=1000.0).at(times.bag_stamp_ns(still.stamp_ns))
        image = overlay(rig, shown.frames, shown.keypoints, shown.bodies or still.bodies, height_px=900)
        cv2.imwrite(str(out / 'overlay.png'), image)
        try:
            write_video(recording, out / 'overlay')
        except ConfigError as error:
            print(f'overlay.mp4 is left out. {error}')
    # At its ends bodies of the loops around it are predicted.
    middle = [seen for seen in one_loop if 0.1 < times.phase(seen.stamp_ns) < 0.9] or one_loop
    over_time = [seen.bodies for seen in middle[:: max(1, len(middle) // 6)]]
    plot_bodies(out / 'bodies.png', [('over time', over_time), *_by_cameras(rig, middle)], rig)


def _by_cameras(rig: CameraRig, seen: Sequence[ObservedSet]) -> list[tuple[str, list[Bodies3D]]]:
    """Return panels of the last instant as one, two and all cameras give it."""
    panels = []
    for count in sorted({1, 2, len(rig)}):
        names = rig.names[:count]
        with PosePipeline(rig.subset(list(names))) as pipeline:
            for instant in seen:
                kept = {name: k for name, k in instant.keypoints.items() if name in names}
                bodies = pipeline.fuse(instant.stamp_ns, kept).bodies
        panels.append((f'{count} camera{"s" if count > 1 else ""}', [_named_as(bodies, seen[-1].bodies)]))
    return panels


def _named_as(bodies: Bodies3D, known: Bodies3D) -> Bodies3D:
    """Return bodies with the ids of the known ones that they are nearest to; further ones get new ids."""
    apart = np.linalg.norm(bodies.xyz[:, None, 0] - known.xyz[None, :, 0], axis=-1)
    rows, columns = linear_sum_assignment(np.nan_to_num(apart, nan=1e3))
    body_ids = known.body_ids.max(initial=-1) + 1 + np.arange(len(bodies))
    body_ids[rows] = known.body_ids[columns]
    return replace(bodies, body_ids=body_ids)


def _print_result(out: Path, summary: Mapping[str, Json]) -> None:
    latency, quality = summary['latency_ms'], summary['reprojection_px']
    cameras = '\n'.join(
        f'  {name}: {px} px' + (
            f'; sides exchanged by the detector in {repaired} of {images} images, repaired' if repaired else '')
        for name, px in quality['per_camera'].items()
        for repaired, images in [summary['sides_repaired'].get(name, (0, 0))]
    )
    print(
        f'\n{summary["rate_hz"]:.1f} sets per second on this machine; the cameras delivered '
        f'{summary["delivered_hz"]:.0f}. The node takes the newest images, and passes over those in between.\n'
        f'latency {latency["p50"]:.0f} ms median, {latency["p95"]:.0f} ms p95\n'
        f'from the joints in 3D to what the detector saw: {quality["median"]} px median\n{cameras}\n'
        f'to a camera that was left out: {summary["leave_one_out_px"]} px; '
        f'bone length varies by {summary["bone_length_cv"]["median"]:.1%}\n\nLook at\n'
        f'  {out}/overlay.png    the views with the reprojected skeleton; rings: what the detector saw\n'
        f'  {out}/bodies.png     the skeletons in 3D\n'
        f'  {out}/overlay.mp4    the same over time\n'
        f'  {out}/summary.json   the numbers\n'
        f'  {out}/recording      the bag that the node\'s output was recorded to'
    )
