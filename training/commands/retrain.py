# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose retrain`: fine-tune an exported lifter, or the detector, on recordings, without labels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from geo_pose_ros.commands.flags import add_overwrite, existing, set_values
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.errors import ConfigError, refuse_existing
from geo_pose_ros.inference.model_card import ModelCard, default_model, load_card

from ..data.bank import Bank
from ..data.prepare import prepare
from ..data.recording import PersonRecording, window_rate_hz
from ..data.sources import BagSource, Source, StoreSource, describe, load_all, parse_sources
from ..data.store.shards import read_recording
from ..evaluation.predictor import Predictor, SigmaScale, lifter_inputs
from ..export import Origin, export
from ..feed import Feed
from ..fit import losses_of_run
from ..retraining.check import check, held_out_sigma_factor, objections
from ..retraining.hold_out import HoldOut, all_held_out
from ..retraining.rehearsal import rehearsal_bank, rehearsal_people
from ..retraining.report import CHECKED, Retraining, conclude, poses_png
from ..retraining.retrain import fine_tune, load_exported
from ..settings import Recipe, load_recipe
from .options import add_hold_out_arguments, add_recipe_arguments, held_out, print_check, provenance
from .retrain_detector import run_detector

_CAPTION = (
    'As the camera sees them, and from the side. Grey: triangulated from the other cameras; red: before; green: after.'
)
# For this number of synthetic poses to rehearse with, one more is synthesised to check on.
_MADE_UP_TO_CHECK = 10

EXAMPLES = (
    'geo_pose retrain --bag walk --out model2.onnx',
    'geo_pose retrain --bag monday --bag tuesday --out model2.onnx',
    'geo_pose retrain --data store:store --out model2.onnx',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        '--from', dest='source', type=existing, metavar='MODEL', help='model to begin with [default: the package\'s]'
    )
    parser.add_argument(
        '--detector', action='store_true', help='teach the network that reads images, not the lifter'
    )
    parser.add_argument(
        '--elsewhere', action='append', default=[], metavar='BAG',
        help='with --detector: other footage to check on',
    )
    parser.add_argument(
        '--bag', action='append', default=[], metavar='BAG', help='recording to train on (repeatable)'
    )
    parser.add_argument(
        '--data', action='append', default=[], metavar='store:STORE',
        help='a store instead of bags (repeatable)',
    )
    parser.add_argument(
        '--rig', type=existing, metavar='FILE', help='calibration [default: that of the bags]'
    )
    parser.add_argument('--out', required=True, type=Path, metavar='MODEL', help='the new model: .onnx')
    add_overwrite(parser, 'the model at --out')
    add_recipe_arguments(parser, 'retrain')
    parser.add_argument(
        '--cameras', nargs='+', default=[], metavar='CAMERA', help='train on these only'
    )
    add_hold_out_arguments(parser, 'camera to check on [default: the last of three]')
    parser.add_argument(
        '--replay', action='append', default=[], metavar='DATA',
        help='data not to forget [default: synthetic people]',
    )
    parser.add_argument(
        '--report', type=Path, metavar='DIR', help='folder of the report [default: beside --out]'
    )
    parser.add_argument('--force', action='store_true', help='write the model even if it is not better')


def run(arguments: argparse.Namespace) -> int:
    """Fine-tune, check, report and, if it is better, export; return 0, or 130 if interrupted.

    Raises:
        RetrainError: if the new model is not better on what was held out, and --force is not given.
    """
    refuse_existing(arguments.out, overwrite=arguments.overwrite)
    if arguments.detector:
        return run_detector(arguments)
    if arguments.elsewhere:
        raise ConfigError('--elsewhere is for --detector; a lifter is checked on other people by --replay.')
    source = arguments.source or default_model()
    card, lifter = load_card(source), load_exported(source)
    recipe = load_recipe(arguments.recipe, {**_as_built(card), **set_values(Recipe, arguments.set)})
    sources = _sources(arguments)
    hold_outs, training, feed = _recorded(arguments, sources, recipe)
    old = Predictor.load(source)
    rehearsal, elsewhere = _other_people(arguments, recipe, old, training)
    before = check(old, hold_outs, elsewhere)
    print_check('before', before)
    folder = arguments.report or arguments.out.with_name(f'{arguments.out.stem}_report')
    progress = fine_tune(
        lifter, feed, recipe, folder / 'run', arguments.seed, rehearsal=rehearsal, resume=arguments.resume
    )
    if progress.interrupted:
        return 130
    scale = SigmaScale(**card.training['sigma_scale'])
    factor = held_out_sigma_factor(Predictor.of_lifter(lifter, scale, recipe.data.up, card.input_range), hold_outs)
    scale = SigmaScale(scale.seen * factor, scale.hidden * factor)
    new = Predictor.of_lifter(lifter, scale, recipe.data.up, card.input_range)
    after = check(new, hold_outs, elsewhere)
    print_check('after', after)
    against = objections(before, after)
    how = {
        'recipe_name': arguments.recipe, 'recipe': asdict(recipe), 'fine_tuned_from': card.sha256,
        **provenance(arguments), 'sigma_scale': asdict(scale),
        'replay': arguments.replay or ('synthetic people' if rehearsal is not None else 'none'),
    }
    done = Retraining(
        source, arguments.out, hold_outs, before, after, CHECKED, against, not against or arguments.force, how,
        losses_of_run(folder / 'run'),
    )
    conclude(folder, done, poses_png(hold_outs[0], old, new), _CAPTION)
    origin = Origin(
        {**how, 'sources': [describe(source) for source in sources], **feed.identity, 'uses_3d_labels': False},
        {'kept_aside': [one.camera for one in hold_outs], 'before': before.known(), 'after': after.known()},
        card.licence, card.acknowledgement, card.input_range,
    )
    export(
        lifter, arguments.out, origin, lifter_inputs(training, new.window), sigma_scale=scale,
        rate_hz=window_rate_hz(training, lifter.receptive_field),
    )
    print(f"'{arguments.out}' and its card")
    return 0


def _as_built(card: ModelCard) -> dict[str, object]:
    """Return the settings that a lifter keeps: those of its network, and the axis that its data had upwards."""
    recipe = card.training['recipe']
    kept: dict[str, object] = {f'model.{name}': value for name, value in recipe['model'].items()}
    return {**kept, 'data.up': recipe.get('data', {}).get('up') or 'z'}


def _sources(arguments: argparse.Namespace) -> list[Source]:
    """Return the bags or the stores to fine-tune on.

    Raises:
        ConfigError: for both, neither, or what is for bags only.
    """
    stores = parse_sources(arguments.data)
    if bool(arguments.bag) == bool(stores) or not all(isinstance(source, StoreSource) for source in stores):
        raise ConfigError('Give either --bag BAG or --data store:STORE to fine-tune on.')
    if stores and (
        arguments.cameras or arguments.held_out or arguments.frames or arguments.held_out_frames or arguments.rig
    ):
        raise ConfigError(
            'Of a store whole bags are kept aside, and it holds their rigs: --cameras, --held-out, --frames, '
            '--held-out-frames and --rig are for --bag.'
        )
    rig = '' if arguments.rig is None else str(arguments.rig)
    return stores or [BagSource(bag, rig=rig) for bag in arguments.bag]


def _recorded(
    arguments: argparse.Namespace, sources: Sequence[Source], recipe: Recipe
) -> tuple[list[HoldOut], list[PersonRecording], Feed]:
    """Return what to check on, recordings of those to train on (of a store, a sample), and what the run is fed."""
    if arguments.data:
        shards = [shard for store in sources if isinstance(store, StoreSource) for shard in store.shards(test=False)]
        sample = [read_recording(shard, 0) for shard in shards[: recipe.stream.pieces]]
        tested = [all_held_out(recording) for recording in load_all(sources, test=True)]
        return tested, sample, Feed.streamed(shards, recipe, arguments.seed)
    everybody = [held_out(person, arguments, arguments.cameras) for person in load_all(sources, test=False)]
    # With --frames somebody may not be there.
    hold_outs = [one for one in everybody if (one.training.confidence > 0.0).any()] or everybody
    training = [one.training for one in hold_outs]
    return hold_outs, training, Feed.in_memory(training, recipe, arguments.seed)


def _other_people(
    arguments: argparse.Namespace, recipe: Recipe, old: Predictor, training: Sequence[PersonRecording]
) -> tuple[Bank | None, list[PersonRecording]]:
    """Return other people to rehearse with, and others to check on: replayed, or synthesised from ``training``."""
    if arguments.replay:
        replayed, sources = load_recipe('body17', {'data.up': recipe.data.up}), parse_sources(arguments.replay)
        bank = prepare(
            load_all(sources, test=False), replayed.data, arguments.seed, gravity=recipe.model.gravity
        )
        return bank, load_all(sources, test=True)
    poses = recipe.optim.rehearsal_poses
    if not poses:
        return None, []
    people = rehearsal_people(old, training, recipe, poses, arguments.seed)
    others = rehearsal_people(old, training, recipe, poses // _MADE_UP_TO_CHECK, arguments.seed + 1)
    return rehearsal_bank(old, people, recipe, arguments.seed), others
