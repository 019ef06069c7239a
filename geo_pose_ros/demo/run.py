# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Run the demo: import, pose_node, play, record, then figures."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from ..arrays import NS_PER_S
from ..bags.recording import BODIES, KEYPOINTS, Recording
from ..bags.write import NODE, BagWriter
from ..errors import BagError, ConfigError
from ..evaluation.quality import ObservedSet
from ..pipeline import PosePipeline
from ..session.video import write_video
from ..types import Bodies3D, CameraRig, Keypoints2D
from ..view.drawing import overlay, plot_bodies
from ..view.playback import Playback
from ..view.report import MeasuredRecording, key_numbers, write_report
from ..view.settings import ViewConfig
from ..view.stage import Stage
from .live import LiveSystem, Material, geo_pose, prepare

# What JSON holds.
Json: TypeAlias = Any
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

    def bag_stamp_ns(self, stamp_ns: int) -> int:
        """Return the bag's time of a published stamp."""
        return self.start_ns + (stamp_ns - self.origin_ns) % self.loop_ns


def run_demo(out: Path, scene: str, loops: int, *, view: bool = False) -> None:
    """Run the whole and write its files under ``out``; ``view``: with the 3D viewer, while the bag is played.

    Raises:
        BagError: if a part of it failed; names the part and its log.
    """
    material = prepare(out, scene)
    print(f'pose_node on live topics, the bag played {loops} times at real time')
    played = run_live(out, material, loops, view=view)
    times = Played(int(played['origin_ns']), int(played['loop_ns']), material.start_ns)
    write_replay(out / 'replay', out / 'recording', times)
    if view:
        with replaying([out / 'replay', material.bag], material.rig, played['url']):
            _conclude(out, material, times, played)
            print(f'\nThe demo is over. Its replay: {played["url"]}  (Ctrl-C ends)', flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    else:
        _conclude(out, material, times, played)


def _conclude(out: Path, material: Material, times: Played, played: Mapping[str, Json]) -> None:
    """Write report and figures, and print the result."""
    _, measured = write_report([out / 'recording'], out / 'report.html', rig=material.rig)
    print('figures')
    draw(out, material, times)
    print_result(out, measured, played)


def write_replay(bag: Path, recording: Path, times: Played) -> None:
    """Write bodies and keypoints of one loop with the stamps of the footage, so that they are shown on its images.

    Of all loops it is the one with most bodies.

    Raises:
        BagError: if no bodies or no keypoints were recorded.
    """
    with Recording([recording]) as recorded:
        bodies = [one.bodies() for one in recorded.stream([BODIES])]
        keypoints = [one.keypoints() for one in recorded.stream([KEYPOINTS])]
    if not bodies or not keypoints:
        raise BagError(f"Recording '{recording}' holds {len(bodies)} bodies and {len(keypoints)} keypoints messages; "
                       'the node published nothing to judge.')
    loop, _ = Counter(times.loop(found.stamp_ns) for found in bodies).most_common(1)[0]
    found: list[Bodies3D | Keypoints2D] = [*bodies, *keypoints]
    of_loop = [one for one in found if times.loop(one.stamp_ns) == loop]
    shown = [replace(one, stamp_ns=times.bag_stamp_ns(one.stamp_ns)) for one in of_loop]
    if bag.exists():
        shutil.rmtree(bag)
    with BagWriter(bag) as writer:
        for one in sorted(shown, key=lambda one: one.stamp_ns):
            if isinstance(one, Bodies3D):
                writer.write_bodies(one)
            else:
                writer.write_keypoints(one, one.camera)


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


def run_live(out: Path, material: Material, loops: int, *, view: bool = False) -> dict[str, Json]:
    """Start recorder and node, play the bag ``loops`` times, stop both; return the player's report.

    ``out`` gets ``recording`` and ``logs``; it holds the rig that ``prepare`` wrote. ``view``: serve the live viewer
    meanwhile, and say where.

    Raises:
        BagError: if a part of it failed; names the part and its log.
    """
    system = LiveSystem(out)
    report, url = out / 'played.json', ''
    with contextlib.ExitStack() as parts:
        parts.enter_context(system.recorder('recording', RECORDED))
        parts.enter_context(system.node())
        if view:
            viewer = [*geo_pose('view'), '--live', '--node', NODE, '--rig', str(out / 'rig.yaml')]
            parts.enter_context(system.running('view', viewer))
            said = system.wait_for_line('view', 'http://', _VIEW_TIMEOUT_S)
            print(said, flush=True)
            url = next(word for word in said.split() if word.startswith('http://'))
        system.finish('play', material.player('--loop', str(loops), '--report', str(report), '--overwrite'))
        time.sleep(_LAST_DIAGNOSTICS_S)
    played: dict[str, Json] = json.loads(report.read_text())
    return {**played, 'loops': loops, 'url': url}


def draw(out: Path, material: Material, times: Played) -> None:
    """Write overlay.png and overlay.mp4 of the replay, and bodies.png."""
    rig = material.rig
    with Recording([out / 'replay', material.bag], rig) as recording:
        playback = Playback(recording, _STILL_PX, images_hz=1000.0)
        instants = [playback.at(one.time_ns) for one in recording.stream([BODIES])]
        complete = [
            ObservedSet(one.stamp_ns, one.keypoints, one.bodies) for one in instants
            if one.bodies and len(one.keypoints) == len(rig)
        ]
        if not complete:
            raise BagError('The node published no body seen by all cameras; see logs/pose_node.log.')
        into = {seen.stamp_ns: (seen.stamp_ns - times.start_ns) / times.loop_ns for seen in complete}
        still = min(complete, key=lambda seen: abs(into[seen.stamp_ns] - 0.5))
        frames = playback.at(still.stamp_ns).frames
        cv2.imwrite(str(out / 'overlay.png'), overlay(rig, frames, still.keypoints, still.bodies, height_px=900))
        try:
            write_video(recording, out / 'overlay')
        except ConfigError as error:
            print(f'overlay.mp4 is left out. {error}')
    # At its ends people jump, and bodies of the loops around it are predicted.
    middle = [seen for seen in complete if 0.1 < into[seen.stamp_ns] < 0.9] or complete
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


def print_result(out: Path, measured: MeasuredRecording, played: Mapping[str, Json]) -> None:
    """Print what the cameras delivered, the numbers of the report, and the names of the files."""
    images = max(count for topic, count in played['published'].items() if '/image_raw' in topic)
    delivered_hz = images / (played['loops'] * played['loop_ns'] / NS_PER_S)
    print(f'\nThe cameras delivered {delivered_hz:.0f} sets per second. '
          'The node takes the newest images, and passes over those in between.')
    print('\n'.join(f'{number} {what}' for number, what in key_numbers(measured)))
    for name, camera in measured.report.cameras.items():
        said = measured.reported.values.get(f'camera {name}', {})
        repaired, used = (int(said.get(key, 0)) for key in ('sides repaired', 'frames_used'))
        exchanged = f'; sides exchanged by the detector in {repaired} of {used} images, repaired' if repaired else ''
        print(f'  {name}: {camera.residual_px:.1f} px{exchanged}')
    print(
        '\nLook at\n'
        f'  {out}/overlay.png    the views with the reprojected skeleton; rings: what the detector saw\n'
        f'  {out}/bodies.png     the skeletons in 3D\n'
        f'  {out}/overlay.mp4    the same over time\n'
        f'  {out}/report.html    the numbers\n'
        f'  {out}/recording      the bag that the node\'s output was recorded to'
    )
