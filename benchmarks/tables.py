# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Write the results of fusion.py, calibrate.py and eyes.py into the docs, so that no number there is typed by hand.

    python benchmarks/tables.py

From docs/benchmarks/{fusion,calibrate,eyes}.json it makes docs/{fusion,calibration,detection}.md, and of eyes.json what
`geo_pose models list` says was measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, asked_table, markdown_table, named_table, replace_section, write_json

MEASURED = Path('geo_pose_ros/models/measured.json')
# What issue and design ask for: words, path of the value, limit, whether it must be at least the limit.
FUSION_ASKED = (
    ('four cameras, ratio to DLT', ('four_cameras_vs_dlt',), 0.90, False),
    ('two cameras, ratio to DLT, the pair that gains least', ('two_cameras_vs_dlt',), 0.75, False),
    ('arm hidden from both of two cameras, mm, worst pair', ('occluded_arm_mm',), 100.0, False),
    ('one camera, root-relative, ratio to the lifter', ('one_camera_vs_lifter',), 1.02, False),
    ('times as fast as the faster peer', ('speedup_vs_fastest_peer',), 5.0, True),
    ('without a lifter, error over that of the fastest mode of a peer', ('bones_error_vs_fastest',), 0.6, False),
    ('without a lifter, ms per set over those of that mode', ('bones_ms_vs_fastest',), 1.0, False),
)
CALIBRATION_COLUMNS = {
    'runs': 'runs', 'rotation_deg': 'rotation, deg RMS', 'rotation_max_deg': 'worst', 'position_mm': 'position, mm RMS',
    'position_max_mm': 'worst', 'inside_95': 'inside 95 %', 'scale_error_percent': 'scale, %',
    'clock_rms_ms': 'clock, ms RMS', 'clock_max_ms': 'worst', 'gravity_deg': 'gravity, deg', 'floor_mm': 'floor, mm',
    'wall_s': 's', 'cpu_s': 's of one core',
}
CALIBRATION_ASKED = (
    ('demo, left-out camera, px', ('demo', 'after', 'left_out_px'), 13.0, False),
    ('demo, reprojection, px', ('demo', 'after', 'reprojection_px'), 7.5, False),
    ('demo, worst camera, px', ('demo', 'after', 'worst_camera_px'), 10.0, False),
    ('refined, rotation, deg', ('refine', 'rotation_deg'), 0.10, False),
    ('refined, position, mm', ('refine', 'position_mm'), 8.0, False),
    ('refined, clocks +-50 ms, ms', ('refine', 'clock_rms_ms'), 2.0, False),
    ('refined, s of one core', ('refine', 'cpu_s'), 30.0, False),
    ('from scratch, rotation, deg', ('scratch', 'rotation_deg'), 0.25, False),
    ('from scratch, position, mm', ('scratch', 'position_mm'), 20.0, False),
    ('from scratch, scale from the stature, %', ('scratch', 'scale_error_percent'), 1.0, False),
    ('gravity, deg', ('scratch', 'gravity_deg'), 1.0, False),
    ('floor, mm', ('scratch', 'floor_mm'), 20.0, False),
    ('clocks +-5 s and 50 ppm, ms', ('sync', 'clock_rms_ms'), 3.0, False),
    ('ring of twelve, refined, rotation, deg', ('ring', 'refined', 'rotation_deg'), 0.2, False),
    ('ring of twelve, refined, position, mm', ('ring', 'refined', 'position_mm'), 15.0, False),
    ('ring of twelve, from scratch, rotation, deg', ('ring', 'scratch', 'rotation_deg'), 0.2, False),
    ('ring of twelve, from scratch, position, mm', ('ring', 'scratch', 'position_mm'), 15.0, False),
    ('ring of twelve, from scratch, s of one core', ('ring', 'scratch', 'cpu_s'), 180.0, False),
    ('ring of twelve, memory, GB', ('ring', 'peak_memory_gb'), 1.5, False),
    ('recordings, size of people without a length, worst, %', ('recordings', 'size_change_max_percent'), 1.0, False),
    ('recordings, rigs worse for another walk', ('recordings', 'left_out_grew'), 0, False),
    ('recordings, inside 95 %', ('recordings', 'inside_95'), 0.90, True),
    ('recordings, from scratch, position, worst rig, mm', ('recordings', 'scratch_position_max_mm'), 10.0, False),
    ('recordings, scale from a stature, worst, %', ('recordings', 'scale_stature_max_percent'), 1.0, False),
    ('recordings, scale from a distance, worst, %', ('recordings', 'scale_distance_max_percent'), 0.3, False),
)


EYES_ASKED = (
    ('SinglePerson, heavy, left-out camera, median px', ('SinglePerson', 'heavy', 'left_out_px'), 8.5, False),
    ('SinglePerson, heavy, mean px', ('SinglePerson', 'heavy', 'left_out_mean_px'), 10.0, False),
    ('SinglePerson, heavy, exchanged limb groups', ('SinglePerson', 'heavy', 'exchanged'), 2, False),
    ('MultiPerson, heavy, left-out camera, median px', ('MultiPerson', 'heavy', 'left_out_px'), 17.5, False),
    ('MultiPerson, heavy, mean px', ('MultiPerson', 'heavy', 'left_out_mean_px'), 25.0, False),
    ('MultiPerson, heavy, exchanged limb groups', ('MultiPerson', 'heavy', 'exchanged'), 25, False),
    ('2 to 6 people found after 0.7 s, heavy', ('composed', 'after 0.7 s', 'heavy', 'found'), 0.97, True),
    ('2 to 6 people found after 0.7 s, full', ('composed', 'after 0.7 s', 'full', 'found'), 0.97, True),
    ('cut at elbows, full, bodies per set', ('seated', 'cut below the elbows', 'full', 'bodies per set'), 1.02, False),
    ('cut at elbows, full, recall', ('seated', 'cut below the elbows', 'full', 'recall'), 0.97, True),
    ('share of both finders, four people', ('searches', 'both finders', '10 Hz', 'share of finders'), 0.3, False),
    ('heels and toes, SinglePerson, complete', ('whole', 'SinglePerson', 'feet', 'complete'), 0.95, True),
    ('heels and toes, MultiPerson, bone CV, worst', ('whole', 'MultiPerson', 'feet', 'bone CV, worst'), 0.05, False),
    ('turned by 180 degrees, roll known, full', ('turned', '180 degrees, roll known', 'full', 'found'), 0.97, True),
    ('turned by 90 degrees, first image, heavy', ('turned', '90 degrees', 'heavy', 'found'), 0.97, True),
    ('turned by 180 degrees, first image, heavy', ('turned', '180 degrees', 'heavy', 'found'), 0.97, True),
    ('turned by 270 degrees, first image, heavy', ('turned', '270 degrees', 'heavy', 'found'), 0.97, True),
)


def fusion(r: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section."""
    accuracy = {
        'ours_mm': 'ours, mm', 'dlt_mm': 'DLT, mm', 'ratio': 'ratio', 'ours_median_mm': 'median, mm',
        'dlt_median_mm': 'DLT median', 'ours_all_joints_mm': 'ours, all joints', 'complete': 'complete',
        'dlt_complete': 'DLT complete',
    }
    one = r['one_camera']
    return [
        f'{r["machine"]}, {r["date"]}, lifter {r["lifter_sha256"]}. Commits and validation clips, by part:',
        '; '.join(f'{part} {of["commit"]}, {of["clips"]}' for part, of in r['parts'].items()) + '.',
        'Written by `python benchmarks/tables.py` from',
        '[benchmarks/fusion.json](benchmarks/fusion.json).', '',
        *asked_table(FUSION_ASKED, r),
        '### Accuracy', '',
        'Four cameras; published joints against the mocap truth, absolute, on the joints that DLT has.', '',
        *named_table(r['four_cameras'], accuracy),
        "Two cameras (opposite pairs see along each other's axes, where DLT breaks down):", '',
        *named_table(r['two_cameras'], accuracy),
        'Two cameras, the left arm hidden from both for whole clips; passing: for half a second in every two.', '',
        *named_table(
            r['occluded_arm'],
            {
                'arm_mm': 'arm, mm', 'left_shoulder_mm': 'shoulder', 'left_elbow_mm': 'elbow', 'left_wrist_mm': 'wrist',
                'passing_mm': 'arm, passing', 'complete': 'complete',
            },
        ),
        f'One camera, all eight: root-relative {one["ours_mm"]} mm, lifter alone {one["lifter_mm"]} mm; absolute root',
        f'{one["root_mm"]} mm mean, {one["root_median_mm"]} mm median.', '',
        *_against_peers(r),
        '### Real footage (demo, 100 sets, 60 Hz)', '',
        *named_table(
            r['real_footage'],
            {
                'leave_one_out_px': 'left-out camera, median px', 'leave_one_out_mean_px': 'mean px',
                'common_px': 'on common joints, median', 'common_mean_px': 'mean',
                'ratio_of_means': 'mean / that of triangulation', 'bone_length_cv': 'bone-length CV',
                'complete': 'complete',
            },
        ),
        *_whole_sets(json.loads((RESULTS / 'pipeline.json').read_text(encoding='utf-8'))),
    ]


def _whole_sets(r: Mapping[str, Any]) -> list[str]:
    """Return what whole sets cost, keypoints in and bodies out, beside the commit before the core was compiled."""
    rows = [
        (
            case, ours['best'], round(ours['best'] / theirs['best'], 3), ours['median'],
            round(ours['median'] / theirs['median'], 3), ours['cold'], int(ours['calls']), int(theirs['calls']),
        )
        for case, (ours, theirs) in ((case, found.values()) for case, found in r.items() if ', lifter' in case)
    ]
    header = (
        'cameras x people', 'best, ms', 'of 51b5f6e', 'median, ms', 'of 51b5f6e', 'first set, ms', 'calls', 'of 51b5f6e'
    )
    return [
        '', '### Cost of whole sets', '',
        f'`python benchmarks/pipeline.py --against 51b5f6e`, commit {r["commit"]}, {r["machine"]}, {r["date"]}, load',
        f'{r.get("load_average", "unknown")}: CPU time of one core, and calls of Python and C functions.', '',
        *markdown_table(header, rows),
    ]


def _against_peers(r: Mapping[str, Any]) -> list[str]:
    columns = {
        'set_ms': 'ms per set', 'batch_ms_per_set': 'ms per set in bulk', 'reprojection_px': 'reprojection, px',
        'mpjpe_mm': 'MPJPE, mm', 'bone_length_cv': 'bone CV', 'complete': 'complete',
    }
    return [
        '### Against peers, on the same 2D', '',
        'One set after the other, as a robot has them, with their default entry points:',
        f'{r["speedup_vs_fastest_peer"]} times as fast as the faster of the two,',
        f'{r["speedup_with_lifter_vs_fastest_peer"]} times with the lifter, which they do not have.',
        'mocap17 through the rig of S9:', '',
        *named_table(r['peers']['mocap17, four cameras'], columns),
        'Demo footage:', '',
        *named_table(r['peers']['real footage'], columns),
    ]


def calibration(r: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section."""
    cases = {name: r[name] for name in ('refine', 'scratch', 'sync')}
    cases |= {f'ring, {name}': r['ring'][name] for name in ('refined', 'scratch')}
    parts = '; '.join(f'{k} {v["commit"]}, {v["seeds"]}' for k, v in r['parts'].items())
    peers = {
        'rotation_deg': 'rotation, deg RMS', 'position_mm': 'position, mm RMS', 'held_out_px': 'kept aside, px',
        'wall_s': 's',
    }
    watch = {
        'ms_per_set': 'ms per set', 'ms_at_most_while_refining': 'at most, while refining', 'sets': 'sets kept',
        'mb': 'MB',
    }
    recorded, live = r['recordings'], r['live']
    return [
        f'{r["machine"]}, {r["date"]}; {r.get("note", "")}'.rstrip('; '),
        f'Commits and runs per rig: {parts}.',
        'Written by `python benchmarks/tables.py`.', '', *asked_table(CALIBRATION_ASKED, r),
        *named_table(cases, CALIBRATION_COLUMNS),
        f'Recordings of 1.5 to 60 s, one to three people, right and wrong lenses: {recorded["recordings"]}.',
        f'A rig came of {recorded["written"]}, the others were refused.', '',
        "The same keypoints, who is who known, into a peer's bundle adjustment:", '', *named_table(r['peers'], peers),
        'A camera turned by 3 degrees while sets come in (one run per rig), seconds after it was turned:',
        f'named {live["named_after_s"]}, repaired to 0.3 degrees {live["repaired_after_s"]}; sets in which another',
        f'camera was named: {live["sets_with_another_camera_named"]}.', '',
        'What the watch costs the thread that fuses (cameras x people), and holds:', '',
        *named_table(r['watch'], watch),
    ]


def eyes(r: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section."""
    demo = {
        'left_out_px': 'left-out camera, median px', 'left_out_mean_px': 'mean px', 'limb_groups': 'limb groups',
        'exchanged': 'exchanged', 'published_exchanged': 'published exchanged',
        'jitter_m_s2': 'jitter, m/s^2', 'bodies_per_set': 'bodies per set',
        'people_per_image': 'detections per image', 'ratio': 'time',
    }
    single = {'found': 'found', 'people': 'of people', 'doubles_per_image': 'doubles per image', 'images': 'images'}
    lines = [
        f'{r["machine"]}, {r["date"]}, commit {r["commit"]}. Written by `python benchmarks/tables.py` from',
        '[benchmarks/eyes.json](benchmarks/eyes.json).', '', *asked_table(EYES_ASKED, r),
    ]
    for scene in [name for name in ('SinglePerson', 'MultiPerson') if name in r]:
        lines += [f'Demo_{scene}, the whole pipeline, rig refined; sides are judged by the other views:', '']
        lines += named_table(r[scene], demo)
    for words, part in (
        ('Two to six people in one image', 'composed'), ('Images turned', 'turned'),
        ('One person before four cameras', 'seated'), ('Further joints, heavy,', 'whole'),
        ('Four people', 'searches'),
    ):
        for name, table in r.get(part, {}).items():
            columns = single if part in ('composed', 'turned') else {key: key for row in table.values() for key in row}
            lines += [f'{words}, {name}:', '', *named_table(table, columns)]
    return lines


def measured(r: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `geo_pose models list` says of networks: their ms, and the left-out px of the demo of one person."""
    px = {'blazepose_full': 'full', 'blazepose_heavy': 'heavy', 'movenet_thunder': 'thunder'}
    table = {name: dict(row) for name, row in r['networks'].items()}
    for name, row in px.items():
        if row in r['SinglePerson']:
            table.setdefault(name, {})['left_out_px'] = r['SinglePerson'][row]['left_out_px']
    return {'machine': r['machine'], 'commit': r['commit'], 'networks': table}


def main() -> None:
    """Replace the sections."""
    write_json(MEASURED, measured(json.loads((RESULTS / 'eyes.json').read_text(encoding='utf-8'))))
    sections = (('fusion', 'fusion', fusion), ('calibrate', 'calibration', calibration), ('eyes', 'detection', eyes))
    for name, document, section in sections:
        result = json.loads((RESULTS / f'{name}.json').read_text(encoding='utf-8'))
        replace_section(Path(f'docs/{document}.md'), section(result))


if __name__ == '__main__':
    main()
