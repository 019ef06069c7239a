"""Write the results of fusion.py into the docs, so that no number there is typed by hand.

    python benchmarks/tables.py     docs/benchmarks/fusion.json -> docs/fusion.md, from '## Results' on
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCUMENT, RESULT = Path('docs/fusion.md'), Path('docs/benchmarks/fusion.json')
# What issue and design ask for: name, key, limit, whether it must be at least the limit.
ASKED = (
    ('four cameras, ratio to DLT', 'four_cameras_vs_dlt', 0.90, False),
    ('two cameras, ratio to DLT, the pair that gains least', 'two_cameras_vs_dlt', 0.75, False),
    ('arm hidden from both of two cameras, mm, worst pair', 'occluded_arm_mm', 100.0, False),
    ('one camera, root-relative, ratio to the lifter', 'one_camera_vs_lifter', 1.02, False),
    ('solver 4 x 1, ms', 'solver_ms_4x1_p50', 1.0, False),
    ('solver 12 x 8, ms', 'solver_ms_12x8_p50', 10.0, False),
    ('lifter, 4 views, ms', 'lifter_ms_4_views_p50', 1.5, False),
    ('pipeline without detection, 4 x 1, ms', 'pipeline_ms_4x1_p50', 4.0, False),
    ('times as fast as the faster peer', 'speedup_vs_fastest_peer', 5.0, True),
)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return a Markdown table."""
    lines = ['| ' + ' | '.join(header) + ' |', '|---' * len(header) + '|']
    return lines + ['| ' + ' | '.join('-' if cell is None else str(cell) for cell in row) + ' |' for row in rows] + ['']


def named(rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> list[str]:
    """Return the table of named rows; ``columns``: key to heading."""
    return table(['', *columns.values()], [[name, *(row.get(key) for key in columns)] for name, row in rows.items()])


def results(r: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section."""
    accuracy = {
        'ours_mm': 'ours, mm', 'dlt_mm': 'DLT, mm', 'ratio': 'ratio', 'ours_median_mm': 'median, mm',
        'dlt_median_mm': 'DLT median', 'ours_all_joints_mm': 'ours, all joints', 'complete': 'complete',
        'dlt_complete': 'DLT complete',
    }
    peers = {
        'set_ms': 'ms per set', 'batch_ms_per_set': 'ms per set in bulk', 'reprojection_px': 'reprojection, px',
        'mpjpe_mm': 'MPJPE, mm', 'bone_length_cv': 'bone CV', 'complete': 'complete',
    }
    asked = []
    for what, key, limit, at_least in ASKED:
        reached = r[key] >= limit if at_least else r[key] <= limit
        asked.append((f'{what} {">=" if at_least else "<="} {limit:g}', r[key], 'yes' if reached else '**no**'))
    stages = ('solver_ms', 'triangulation_ms', 'lifter_ms', 'pipeline_ms')
    growth = [
        (f'{row["cameras"]} x {row["bodies"]}', *(f'{row[s]["p50"]} / {row[s]["p99"]}' for s in stages))
        for row in r['growth']
    ]
    one = r['one_camera']
    return [
        '## Results', '',
        f'{r["machine"]}, {r["date"]}, lifter {r["lifter_sha256"]}. Commits and validation clips, by part:',
        '; '.join(f'{part} {of["commit"]}, {of["clips"]}' for part, of in r['parts'].items()) + '.',
        'Written by `python benchmarks/tables.py` from',
        '[benchmarks/fusion.json](benchmarks/fusion.json).', '',
        *table(('asked', 'reached', ''), asked),
        '### Accuracy', '',
        'Four cameras; published joints against the mocap truth, absolute, on the joints that DLT has.', '',
        *named(r['four_cameras'], accuracy),
        "Two cameras (opposite pairs see along each other's axes, where DLT breaks down):", '',
        *named(r['two_cameras'], accuracy),
        'Two cameras, the left arm hidden from both for whole clips; passing: for half a second in every two.', '',
        *named(
            r['occluded_arm'],
            {
                'arm_mm': 'arm, mm', 'left_shoulder_mm': 'shoulder', 'left_elbow_mm': 'elbow', 'left_wrist_mm': 'wrist',
                'passing_mm': 'arm, passing', 'complete': 'complete',
            },
        ),
        f'One camera, all eight: root-relative {one["ours_mm"]} mm, lifter alone {one["lifter_mm"]} mm; absolute root',
        f'{one["root_mm"]} mm mean, {one["root_median_mm"]} mm median.', '',
        'Filters, four cameras; jitter is the mean error of the acceleration:', '',
        *named(r['filters'], {'mpjpe_mm': 'MPJPE, mm', 'jitter_m_s2': 'jitter, m/s^2'}),
        '### Against peers, on the same 2D', '',
        'One frame set after the other, as a robot has them, with their default entry points:',
        f'{r["speedup_vs_fastest_peer"]} times as fast as the faster of the two,',
        f'{r["speedup_with_lifter_vs_fastest_peer"]} times with the lifter, which they do not have.',
        'mocap17 through the rig of S9:', '',
        *named(r['peers']['mocap17, four cameras'], peers),
        'Demo footage:', '',
        *named(r['peers']['real footage'], peers),
        '### Real footage (demo, 100 sets, 60 Hz)', '',
        *named(
            r['real_footage'],
            {
                'leave_one_out_px': 'left-out camera, median px', 'leave_one_out_mean_px': 'mean px',
                'common_px': 'on common joints, median', 'common_mean_px': 'mean',
                'ratio_of_means': 'mean / that of triangulation', 'bone_length_cv': 'bone-length CV',
                'complete': 'complete',
            },
        ),
        f'### Cost, ms per set, p50 / p99, one core, the best of {r["rounds"]} rounds', '',
        *table(('cameras x bodies', 'solver', 'without lifter', 'lifter', 'pipeline'), growth),
        '![growth](benchmarks/fusion.png)',
    ]


def main() -> None:
    """Replace the section."""
    text = DOCUMENT.read_text(encoding='utf-8')
    lines = results(json.loads(RESULT.read_text(encoding='utf-8')))
    DOCUMENT.write_text(text[: text.index('## Results')] + '\n'.join(lines) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
