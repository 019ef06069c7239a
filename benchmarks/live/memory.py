# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Memory and latency of pose_node while the demo's footage is looped: neither may grow.

    python benchmarks/live/memory.py [--minutes 10]     ->  two lines, and out/bench/memory.json

Linux only: the resident set size is read from /proc.
"""

from __future__ import annotations

import math
import time

import numpy as np

from benchmarks.harness import CACHE, OUT, parser_of, provenance, resident_mb, write_json
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.demo.live import prepare
from geo_pose_ros.demo.run import run_live
from geo_pose_ros.demo.summary import delays_ms

SAMPLE_S = 5.0
# By then every model has run, and every buffer been filled, often.
SETTLED_S = 60.0


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--minutes', type=float, default=10.0)
    minutes = parser.parse_args().minutes
    run_folder = OUT / 'memory'
    material = prepare(run_folder, CACHE, 'Demo_SinglePerson')
    with BagReader(material.bag) as reader:
        loop_s = (reader.end_ns - reader.start_ns) / 1e9
    # Wall time, s, and resident set, MB.
    samples: list[tuple[float, float]] = []

    def sample(pid: int) -> None:
        now_s = time.time()
        if not samples or now_s >= samples[-1][0] + SAMPLE_S:
            samples.append((now_s, resident_mb(pid)))

    played = run_live(run_folder, material, math.ceil(minutes * 60.0 / loop_s), sample)
    delays = delays_ms(run_folder / 'recording')
    seconds, rss_mb = (np.array(samples) - (played['origin_ns'] / 1e9, 0.0)).T
    settled = int(np.abs(seconds - SETTLED_S).argmin())
    halves = np.array_split(delays, 2)
    report = {
        **provenance('make bench-memory'),
        'minutes': round(float(seconds[-1]) / 60.0, 2),
        'sets_published': len(delays),
        'rate_hz': round(len(delays) / float(seconds[-1]), 2),
        'rss_mb': {
            f'at_{seconds[settled]:.0f}_s': round(float(rss_mb[settled]), 1),
            'at_end': round(float(rss_mb[-1]), 1),
            'largest': round(float(rss_mb[seconds > 0.0].max()), 1),
            'growth': round(float(rss_mb[-1] - rss_mb[settled]), 1),
        },
        'latency_ms_p95': {
            name: round(float(np.percentile(half, 95)), 1)
            for name, half in zip(('first_half', 'second_half'), halves, strict=True)
        },
        'samples_s_mb': [[round(float(s), 1), round(float(mb), 1)] for s, mb in zip(seconds, rss_mb, strict=True)],
    }
    write_json(OUT / 'memory.json', report)
    print(f'{report["sets_published"]} sets in {report["minutes"]} min; resident set {report["rss_mb"]} MB')
    print(f'p95 latency of the two halves {report["latency_ms_p95"]} ms')


if __name__ == '__main__':
    main()
