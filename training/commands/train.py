# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose train`: train a lifter from calibrated multi-view 2D keypoints."""

from __future__ import annotations

import argparse
from pathlib import Path

from geo_pose_ros.commands.flags import existing, set_values
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.inference.model_card import sha256

from ..data.sources import describe, parse_sources
from ..distributed import process_group
from ..feed import Feed
from ..fit import CHECKPOINT, fit
from ..retraining.retrain import load_exported
from ..settings import Recipe, load_recipe
from ..trainer import Trainer
from .options import DATA_HELP, add_recipe_arguments, provenance

EXAMPLES = (
    'geo_pose train --data h36m:data --out run --resume',
    'geo_pose train --data bag:walk --recipe body17 --out run --set optim.steps=1000',
    'geo_pose train --data bag:walk --recipe body17 --from model.onnx --out run',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('--data', required=True, action='append', help=DATA_HELP)
    parser.add_argument('--out', required=True, type=Path, help='folder of the run')
    add_recipe_arguments(parser, 'geo')
    parser.add_argument(
        '--from', dest='source', type=existing, metavar='MODEL', help='.onnx to begin with [default: random weights]'
    )
    parser.add_argument('--overfit', action='store_true', help='train on one batch: its loss must go to zero')
    parser.add_argument('--tensorboard', action='store_true', help='also write TensorBoard events')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')


def run(arguments: argparse.Namespace) -> int:
    """Train; return 0, or 130 if interrupted."""
    recipe = load_recipe(arguments.recipe, set_values(Recipe, arguments.set))
    sources = parse_sources(arguments.data)
    with process_group() as device:
        feed = Feed.of(sources, recipe, arguments.seed)
        trainer = Trainer(recipe, feed.source, seed=arguments.seed, device=device)
        begun_with = {}
        if arguments.source is not None:
            trainer.lifter.load_state_dict(load_exported(arguments.source).state_dict())
            begun_with = {'fine_tuned_from': sha256(arguments.source)}
        data = {
            'sources': [describe(source) for source in sources], **feed.identity, 'input_range': feed.input_range,
            'recipe': arguments.recipe, **provenance(arguments),
            'uses_3d_labels': recipe.data.labels == 'truth', **begun_with,
        }
        progress = fit(
            trainer, arguments.out, data, resume=arguments.resume, overfit=arguments.overfit,
            progress=not arguments.quiet, tensorboard=arguments.tensorboard,
        )
        if trainer.rank == 0:
            print(f"{progress.steps} steps, checkpoint in '{arguments.out / CHECKPOINT}'")
    return 130 if progress.interrupted else 0
