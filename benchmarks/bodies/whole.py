# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How complete and how steady feet, hands and faces are, on both demos of Pose2Sim.

    python benchmarks/bodies/whole.py [--network heavy] [--skeleton body33]

Of each demo, the rig refined: the share of published bodies that have each further joint, and the variation of the
lengths of their bones (standard deviation over mean, per person; the worst and the median of a limb's bones). Keypoints
are kept in out/bench/, so that a second run fuses only. The result goes to out/bench/whole.json.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.eyes import NETWORKS, SCENES, observe, refined, videos_of
from benchmarks.harness import OUT, parser_of, provenance, show, use_one_thread, write_json
from geo_pose_ros.evaluation.quality import ObservedSet, bone_length_cv
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.skeleton import BODY17, OUTPUTS
from geo_pose_ros.types import CameraRig

LIMBS = {
    'feet': ('heel', 'foot_index'), "hands' bases": ('pinky', 'index', 'thumb'), 'face': ('eye', 'ear', 'mouth'),
    'hands': ('_hand_wrist', '_cmc', '_mcp', '_ip', '_pip', '_dip', '_tip'),
}


def seen_of(scene: str, network: str, skeleton: str) -> tuple[CameraRig, list[ObservedSet]]:
    """Return the refined rig of a demo, and what a network sees in it."""
    kept = OUT / f'whole_{scene}_{network}_{skeleton}.pickle'
    if not kept.is_file():
        rig, videos = videos_of(scene)
        observed, *_ = observe(rig, videos, NETWORKS[network], skeleton=skeleton)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps((refined(rig, observed), observed)))
    # Written by the lines above.
    found: tuple[CameraRig, list[ObservedSet]] = pickle.loads(kept.read_bytes())
    return found


def measure(rig: CameraRig, observed: list[ObservedSet], skeleton: str) -> dict[str, Any]:
    """Return completeness and variation of the bones, by limb."""
    output = OUTPUTS[skeleton]
    with PosePipeline(rig, replace(PipelineConfig(), skeleton=skeleton)) as pipeline:
        bodies = [pipeline.fuse(seen.stamp_ns, seen.keypoints).bodies for seen in observed]
    known = np.concatenate([np.isfinite(one.xyz).all(-1) for one in bodies])
    variation = bone_length_cv(output, bodies)
    table: dict[str, Any] = {}
    for limb, endings in LIMBS.items():
        joints = [
            j for j, name in enumerate(output.joint_names[len(BODY17):], len(BODY17)) if name.endswith(endings)
            or (limb == 'face' and 'eye' in name)
        ]
        if not joints:
            continue
        bones = [
            variation[bone] for bone, (a, b) in zip(output.bones, output.edges, strict=True)
            if (a in joints or b in joints) and bone in variation
        ]
        table[limb] = {
            'bodies': len(known),
            'complete': round(float(known[:, joints].mean()), 4),
            'least complete': round(float(known[:, joints].mean(0).min()), 4),
            'bone CV, median': round(float(np.median(bones)), 4), 'bone CV, worst': round(float(max(bones)), 4),
        }
    return table


def main() -> None:
    """Measure, print and write."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--network', choices=tuple(NETWORKS), default='heavy')
    parser.add_argument('--skeleton', choices=tuple(OUTPUTS), default='body33')
    arguments = parser.parse_args()
    result: dict[str, Any] = provenance('python benchmarks/bodies/whole.py')
    for scene in SCENES:
        table = measure(*seen_of(scene, arguments.network, arguments.skeleton), arguments.skeleton)
        show(f'{scene}, {arguments.network}, {arguments.skeleton}', table)
        result[scene] = table
    write_json(OUT / 'whole.json', result)


if __name__ == '__main__':
    main()
