"""Run the demo: import, pose_node, play, record, then figures."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..bags.recording import IMAGE, Recording
from ..errors import BagError
from ..evaluation.quality import ObservedSet
from ..messages.stamps import nearest_indices
from ..pipeline import PosePipeline
from ..scene.settings import PipelineConfig
from ..types import Bodies3D, CameraRig, Frame
from ..view.drawing import overlay, plot_bodies
from .live import NODE, LiveSystem, Material, geo_pose, prepare
from .summary import Json, drops, latency_ms, quality_summary, read_diagnostics, read_observations, stage_ms

# Not the annotated images, which the node draws only while somebody looks at them.
RECORDED = f'{NODE}/(bodies|markers|skeleton|keypoints/.*)|/diagnostics'
_VIEW_TIMEOUT_S = 60.0
# The counters of the last sets are in the next diagnostics.
_LAST_DIAGNOSTICS_S = 2.5
_VIDEO_SETS = 120


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
    summary = summarise(out / 'recording', material.rig, observations, played)
    (out / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    print('figures')
    draw(out, material, observations, times)
    _print_result(out, summary)


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
        'drops': drops(diagnostics),
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
    report = out / 'played.json'
    with contextlib.ExitStack() as parts:
        parts.enter_context(system.recorder('recording', RECORDED))
        node = parts.enter_context(system.node())
        if view:
            viewer = [*geo_pose('view'), '--live', '--node', NODE, '--rig', str(out / 'rig.yaml')]
            parts.enter_context(system.running('view', viewer))
            print(system.wait_for_line('view', 'http://', _VIEW_TIMEOUT_S), flush=True)
        system.finish(
            'play', material.player('--loop', str(loops), '--report', str(report)), lambda: watch(node.pid)
        )
        time.sleep(_LAST_DIAGNOSTICS_S)
    played: dict[str, Json] = json.loads(report.read_text())
    return played


def draw(out: Path, material: Material, observations: Sequence[ObservedSet], times: Played) -> None:
    """Write overlay.png, overlay.mp4 and bodies.png."""
    rig = material.rig
    complete = [seen for seen in observations if len(seen.bodies) and len(seen.keypoints) == len(rig)]
    if not complete:
        raise BagError('The node published no body seen by all cameras; see logs/pose_node.log.')
    shown = complete[:_VIDEO_SETS]
    frames = frames_of(material, shown, times)
    rate_hz = (len(shown) - 1) / max((shown[-1].stamp_ns - shown[0].stamp_ns) / 1e9, 1e-3)
    # Half-way through a loop: where the footage starts again people jump, and the last bodies are still predicted.
    still = min(shown, key=lambda seen: abs(times.phase(seen.stamp_ns) - 0.5))
    writer = None
    for seen in shown:
        images = {name: frames[name, found.stamp_ns] for name, found in seen.keypoints.items()}
        if seen is still:
            cv2.imwrite(str(out / 'overlay.png'), overlay(rig, images, seen.keypoints, seen.bodies, height_px=900))
        views = overlay(rig, images, seen.keypoints, seen.bodies, height_px=480)
        views = np.ascontiguousarray(views[:, : views.shape[1] // 2 * 2])
        if writer is None:
            size = (views.shape[1], views.shape[0])
            writer = cv2.VideoWriter(str(out / 'overlay.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), rate_hz, size)
        writer.write(views)
    if writer is not None:
        writer.release()
    # Within one loop: right after its seam, one camera alone still follows who was there before.
    loops = Counter(times.loop(seen.stamp_ns) for seen in complete)
    one_loop = [seen for seen in complete if times.loop(seen.stamp_ns) == loops.most_common(1)[0][0]]
    over_time = [seen.bodies for seen in one_loop[:: max(1, len(one_loop) // 6)]]
    plot_bodies(out / 'bodies.png', [('over time', over_time), *_by_cameras(rig, one_loop)], rig)


def _by_cameras(rig: CameraRig, seen: Sequence[ObservedSet]) -> list[tuple[str, list[Bodies3D]]]:
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


def frames_of(
    material: Material, shown: Sequence[ObservedSet], times: Played
) -> dict[tuple[str, int], Frame]:
    """Return the frames, half size, in which the keypoints of ``shown`` were found, by camera and published stamp."""
    found: dict[tuple[str, int], Frame] = {}
    with Recording([material.bag], material.rig) as recording:
        received_ns: dict[str, list[int]] = {name: [] for name in material.rig.names}
        for image in recording.stream([IMAGE]):
            received_ns[image.source.camera].append(image.time_ns)
        # Image of the bag -> the stamps it was published with, in one loop or another.
        published: dict[tuple[str, int], list[int]] = {}
        for name, received in received_ns.items():
            stamps = [seen.keypoints[name].stamp_ns for seen in shown]
            nearest = nearest_indices(received, [times.bag_stamp_ns(stamp) for stamp in stamps], np.inf)
            for stamp, index in zip(stamps, nearest.tolist(), strict=True):
                published.setdefault((name, received[index]), []).append(stamp)
        for image in recording.stream([IMAGE]):
            name = image.source.camera
            stamps = published.get((name, image.time_ns), [])
            if stamps:
                lens = material.rig[name].intrinsics
                frame = image.frame(max_side_px=max(lens.width, lens.height) // 2 + 1)
                found.update({(name, stamp): frame for stamp in stamps})
    return found


def _print_result(out: Path, summary: Mapping[str, Json]) -> None:
    latency, quality = summary['latency_ms'], summary['reprojection_px']
    print(
        f'\n{summary["sets_published"]} of {summary["sets_in"]} sets published, '
        f'{summary["rate_hz"]} per second; latency {latency["p50"]:.0f} ms median, {latency["p95"]:.0f} ms p95\n'
        f'reprojection {quality["median"]} px median; left-out camera {summary["leave_one_out_px"]} px; '
        f'bone length varies by {summary["bone_length_cv"]["median"]:.1%}\n\nLook at\n'
        f'  {out}/overlay.png    the views with the reprojected skeleton\n'
        f'  {out}/bodies.png     the skeletons in 3D\n'
        f'  {out}/overlay.mp4    the same over time\n'
        f'  {out}/summary.json   the numbers\n'
        f'  {out}/recording      the bag that the node\'s output was recorded to'
    )
