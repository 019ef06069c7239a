"""Accuracy of lifters trained from a store and from the same data in memory: the difference, and the spread of seeds.

    python benchmarks/training/store_accuracy.py [--seeds 3] [--recipe pseudo_label]

Prints a line per way, and writes docs/benchmarks/train_stream.json. Synthetic people as in store_memory.py, whose
settings these are; measured on other people, with truth. The store is larger than the buffer of the stream.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from geo_pose_training.evaluation.metrics import evaluate
from geo_pose_training.evaluation.predictor import Predictor

from benchmarks.harness import parser_of, provenance, write_json
from benchmarks.training.store_memory import FRAMES, PIECES, SETTINGS, make_store, train
from test.training.people import recorded_person

OUT = Path('docs/benchmarks/train_stream.json')
# Recordings: two and a half times what the buffer holds; every fifth is the test part.
BAGS = 25
# People that nobody was trained on: their seeds come after those of the recordings.
OTHERS = range(1000, 1006)


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--recipe', default='pseudo_label')
    arguments = parser.parse_args()
    others = [recorded_person(frames=120, noise_px=1.0, seed=seed) for seed in OTHERS]
    found: dict[str, Any] = {
        **provenance('python benchmarks/training/store_accuracy.py'), 'settings': SETTINGS,
        'recipe': arguments.recipe, 'frames': BAGS * FRAMES, 'buffer_pieces': PIECES, 'mpjpe_mm': {},
    }
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / 'store'
        make_store(store, BAGS)
        for kind in ('stream', 'memory'):
            errors = []
            for seed in range(arguments.seeds):
                run = Path(name) / f'{kind}{seed}'
                train(kind, arguments.recipe, store, run, seed)
                errors.append(evaluate(Predictor.load(run), others, cross_views=False)['mpjpe_mm'])
            found['mpjpe_mm'][kind] = errors
            print(f'{kind}: {np.mean(errors):.1f} +- {np.std(errors):.1f} mm over {arguments.seeds} seeds', flush=True)
    write_json(OUT, found)


if __name__ == '__main__':
    main()
