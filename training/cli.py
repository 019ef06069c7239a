"""The subcommands `geo_pose train | evaluate | export | retrain | fit-noise`."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.inference.model_card import ModelCard, default_model, load_card
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.rigs.rig_file import load_rig

from .data.bank import Bank
from .data.prepare import prepare
from .data.sequence import Sequence, window_rate_hz
from .data.sources import is_store, load_data, store_shards
from .data.store.shards import Shard, read_piece
from .distributed import process_group
from .evaluate import (
    Predictor,
    SigmaScale,
    calibrate_sigma,
    evaluate,
    format_report,
    input_options,
    real_windows,
    root_errors_mm,
    sigma_coverage,
    torch_predictor,
)
from .export import export, onnx_predictor
from .feed import Feed
from .fit import CHECKPOINT, Trainer, fit, load_run
from .provenance import source_commit
from .retraining.proof import Check, Recording, RetrainError, check, keep_aside, objections, sigma_factor, unseen
from .retraining.rehearsal import believed_people, rehearsal_bank
from .retraining.report import Retraining, write_report
from .retraining.retrain import fine_tune, load_exported
from .settings import Recipe, load_recipe, recipe_names

Subparsers = Any

_MOCAP_ACKNOWLEDGEMENT = (
    'The data used in this project was obtained from mocap.cs.cmu.edu. '
    'The database was created with funding from NSF EIA-0196217.'
)


# Of the poses that are made up to rehearse with, one in so many more is, to check what was forgotten.
_MADE_UP_TO_CHECK = 10


def register(subparsers: Subparsers) -> None:
    """Add the subcommands; each sets ``run``, a function of the parsed arguments that returns the exit status."""
    _register_train(subparsers)
    _register_evaluate(subparsers)
    _register_export(subparsers)
    _register_retrain(subparsers)
    _register_fit_noise(subparsers)


def _register_train(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        'train', help='train a lifter from calibrated multi-view 2D keypoints',
        description=f'Train a lifter. Recipes: {", ".join(recipe_names())}, or a YAML file.',
    )
    parser.add_argument('--recipe', default='geo', help='name or YAML file [default geo]')
    parser.add_argument('--data', required=True, action='append', help=_DATA_HELP)
    parser.add_argument('--out', required=True, type=Path, help='folder of the run')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', help='change a recipe setting')
    parser.add_argument('--resume', action='store_true', help='continue the run in --out')
    parser.add_argument('--overfit', action='store_true', help='train on one batch: its loss must go to zero')
    parser.add_argument('--tensorboard', action='store_true', help='also write TensorBoard events')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    parser.set_defaults(run=train)


def _register_evaluate(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser('evaluate', help='measure a lifter on the test part of data')
    parser.add_argument(
        'model', type=Path, nargs='?', default=default_model(), help='run folder or .onnx [default: the package\'s]'
    )
    parser.add_argument('--data', required=True, action='append', help=_DATA_HELP)
    _add_kept_aside(parser, 'camera to measure by what the others triangulate, as retrain does, not all by the truth')
    parser.add_argument('--every', type=int, default=1, metavar='N', help='measure on every N-th frame only')
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    parser.set_defaults(run=run_evaluate)


def _register_export(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser('export', help='write a run as ONNX with its model card')
    parser.add_argument('folder', metavar='RUN', type=Path, help='run folder')
    parser.add_argument('--out', required=True, type=Path, help='the model file')
    parser.add_argument(
        '--format', choices=('onnx', 'tensorrt'), default='onnx',
        help='tensorrt: also build the engine for this machine, beside the ONNX file',
    )
    parser.add_argument('--data', action='append', help=f'for metrics and sigma [default: the run\'s]; {_DATA_HELP}')
    parser.add_argument('--licence', default='Apache-2.0', help='of the weights')
    parser.add_argument('--acknowledgement', help='who has to be named; default: CMU for motion data, else nobody')
    parser.set_defaults(run=run_export)


def _register_retrain(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser('retrain', help='fine-tune an exported lifter on a bag, without labels')
    parser.add_argument(
        '--from', dest='source', type=Path, default=default_model(), help='model [default: the package\'s]'
    )
    parser.add_argument(
        '--bag', action='append', default=[], help='keypoints or images, camera_info and tf_static (repeatable)'
    )
    parser.add_argument(
        '--data', action='append', default=[], metavar='store:STORE',
        help='instead of bags: a store, which is streamed; its test part is kept aside (repeatable)',
    )
    parser.add_argument('--rig', type=Path, help='rig file of the cameras [default: what the bags say]')
    parser.add_argument('--out', required=True, type=Path, help='the new model')
    parser.add_argument('--recipe', default='retrain', help='name or YAML file [default retrain]')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', help='change a recipe setting')
    parser.add_argument('--cameras', nargs='+', default=[], help='train on these only [default: all but --held-out]')
    _add_kept_aside(parser, 'camera that is kept aside, to check on [default: the last one, if there are three]')
    parser.add_argument(
        '--replay', action='append', default=[],
        help='data to train on as well, and to check on, so that nothing is forgotten [default: made-up people, in '
        f'poses that the old model believes]; {_DATA_HELP}',
    )
    parser.add_argument('--report', type=Path, help='folder of the report and the run [default: beside --out]')
    parser.add_argument('--force', action='store_true', help='write the model even if it is not better')
    parser.add_argument('--resume', action='store_true', help='continue an interrupted run')
    parser.add_argument('--seed', type=int, default=0)
    parser.set_defaults(run=run_retrain)


def _add_kept_aside(parser: argparse.ArgumentParser, held_out: str) -> None:
    parser.add_argument('--held-out', default='', metavar='CAMERA', help=held_out)
    parser.add_argument('--frames', default='', help='to train on, e.g. 0-70 [default: all but the last 40 %%]')
    parser.add_argument('--held-out-frames', default='', help='frames to check on [default: the last 40 %%]')


def _register_fit_noise(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        'fit-noise', help="estimate a detector's noise from bags, for data motion:...,noise:FILE"
    )
    parser.add_argument('bag', nargs='+', type=Path, help='bags of one person before three cameras or more')
    parser.add_argument('--out', required=True, type=Path, help='the YAML file')
    parser.set_defaults(run=run_fit_noise)


_DATA_HELP = (
    'h36m:PATH | mpi:PATH | bag:PATH | store:STORE | motion:NPZ_OR_BVH_FOLDER,rigs:JSON (repeatable; see '
    'docs/training.md)'
)


def _overrides(pairs: list[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition('=')
        if not equals:
            raise ConfigError(f"--set {pair}: expected NAME=VALUE, e.g. --set optim.steps=1000.")
        values[name] = yaml.safe_load(value)
    return values


def _load(specifications: list[str], *, test: bool) -> list[Sequence]:
    return [sequence for specification in specifications for sequence in load_data(specification, test=test)]


def _feed(specifications: list[str], recipe: Recipe, seed: int) -> Feed:
    """Return the training part of the data: stores are streamed, all else is in memory."""
    stores = [specification for specification in specifications if is_store(specification)]
    if not stores:
        return Feed.in_memory(_load(specifications, test=False), recipe, seed)
    if len(stores) < len(specifications):
        raise ConfigError('A store is streamed and other data is not; give stores only as --data, or none.')
    return Feed.streamed(_shards(stores), recipe, seed)


def _shards(stores: list[str]) -> list[Shard]:
    return [shard for store in stores for shard in store_shards(store, test=False)]


def _command() -> str:
    return shlex.join(['geo_pose', *sys.argv[1:]])


def train(args: argparse.Namespace) -> int:
    """Train; return 0, or 130 if interrupted."""
    recipe = load_recipe(args.recipe, _overrides(args.set))
    with process_group() as device:
        feed = _feed(args.data, recipe, args.seed)
        trainer = Trainer(recipe, feed.source, seed=args.seed, device=device)
        data = {
            'sources': args.data, **feed.identity, 'recipe': args.recipe, 'seed': args.seed, 'command': _command(),
            'commit': source_commit(), 'uses_3d_labels': recipe.data.labels == 'truth',
        }
        progress = fit(
            trainer, args.out, data, resume=args.resume, overfit=args.overfit, progress=not args.quiet,
            tensorboard=args.tensorboard,
        )
        if trainer.rank == 0:
            print(f"{progress.steps} steps, checkpoint in '{args.out / CHECKPOINT}'")
    return 130 if progress.interrupted else 0


def predictor(model: Path) -> tuple[Predictor, dict[str, Any]]:
    """Return the predictor of a run folder or an exported model, and the options of its windows."""
    if model.is_dir():
        recipe, lifter, _ = load_run(model)
        return torch_predictor(lifter), input_options(recipe)
    card = load_card(model)
    up = str(card.training['recipe']['data'].get('up', 'z')) if card.gravity else ''
    return onnx_predictor(model), {'receptive_field': card.receptive_field, 'causal': card.causal, 'up': up}


def run_evaluate(args: argparse.Namespace) -> int:
    """Print the metrics; return 0."""
    predict, windows = predictor(args.model)
    if args.every < 1:
        raise ConfigError(f'--every {args.every}: expected 1 or more.')
    loaded = _load(args.data, test=True)
    if args.held_out:
        found = check(predict, [_kept_aside(sequence, args) for sequence in loaded], **windows)
        _print_check(args.model.stem, found)
        if args.json is not None:
            args.json.write_text(json.dumps(_known(found), indent=1), encoding='utf-8')
        return 0
    sequences = [sequence.frames(slice(None, None, args.every)) for sequence in loaded]
    report = {**evaluate(predict, sequences, **windows), **_trust(predict, sequences, windows)}
    print(format_report(report))
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1), encoding='utf-8')
    return 0


def _trust(predict: Predictor, sequences: list[Sequence], windows: dict[str, Any]) -> dict[str, object]:
    """Return how honest sigma is, and where the root is if floor and bones are known; nothing without truth."""
    if not any(sequence.truth is not None for sequence in sequences):
        return {}
    roots = {
        name: root_errors_mm(predict, sequences, floor=floor, bones=bones, **windows)
        for name, floor, bones in (('floor', 'z', False), ('bones', '', True), ('floor and bones', 'z', True))
    }
    return {
        'inside_2_8_sigma_percent': {
            name: 100.0 * share for name, share in sigma_coverage(predict, sequences, **windows).items()
        },
        'root_with_mm': {name: float(errors.mean()) for name, errors in roots.items() if len(errors)},
    }


def run_export(args: argparse.Namespace) -> int:
    """Export; return 0."""
    _export_onnx(args, args.out)
    if args.format == 'tensorrt':
        # Engines belong to one GPU: built here, from the ONNX file, and kept beside it.
        from geo_pose_ros.inference.tensorrt import build_engine

        print(f"engine: '{build_engine(args.out, EngineConfig(engine='tensorrt'))}'")
    return 0


def _export_onnx(args: argparse.Namespace, model: Path) -> None:
    recipe, lifter, data = load_run(args.folder)
    specifications = args.data or data['sources']
    sequences = _load(specifications, test=True)
    predict, windows = torch_predictor(lifter), input_options(recipe)
    metrics = {'data': list(specifications), **evaluate(predict, sequences, **windows)}
    scale = calibrate_sigma(predict, sequences, **windows)
    acknowledgement = args.acknowledgement
    if acknowledgement is None:
        uses_motion = any(str(source).startswith('motion:') for source in data['sources'])
        acknowledgement = _MOCAP_ACKNOWLEDGEMENT if uses_motion else ''
    card = export(
        lifter, model,
        training={
            **data, 'recipe_name': data['recipe'], 'recipe': asdict(recipe), 'sigma_scale': asdict(scale),
        },
        metrics=metrics, samples=real_windows(sequences, **windows), sigma_scale=scale, licence=args.licence,
        acknowledgement=acknowledgement, rate_hz=window_rate_hz(sequences, lifter.receptive_field),
    )
    print(format_report(metrics))
    print(f"'{model}' and its card: sha256 {card.sha256[:12]}, {model.stat().st_size / 1e6:.1f} MB")


def run_retrain(args: argparse.Namespace) -> int:
    """Fine-tune, check, report and, if it is better, export; return 0, or 130 if interrupted.

    Raises:
        RetrainError: if the new model is not better on what was kept aside, and --force is not given.
    """
    card = load_card(args.source)
    lifter = load_exported(args.source)
    overrides = {**_model_overrides(card.training), **_up_override(card), **_overrides(args.set)}
    recipe = load_recipe(args.recipe, overrides)
    windows = input_options(recipe)
    recordings, training, feed = _recorded(args, recipe)
    old = onnx_predictor(args.source)
    rehearsal, elsewhere = _other_people(args, recipe, old, training)
    before = check(old, recordings, elsewhere, **windows)
    _print_check('before', before)
    folder = args.report or args.out.with_name(f'{args.out.stem}_report')
    progress = fine_tune(
        lifter, feed, recipe, args.seed, rehearsal=rehearsal, folder=folder / 'run', resume=args.resume
    )
    if progress.interrupted:
        return 130
    scale = SigmaScale(**card.training['sigma_scale'])
    factor = sigma_factor(torch_predictor(lifter, scale), recordings, **windows)
    scale = SigmaScale(scale.seen * factor, scale.hidden * factor)
    new = torch_predictor(lifter, scale)
    after = check(new, recordings, elsewhere, **windows)
    _print_check('after', after)
    against = objections(before, after)
    written = not against or args.force
    how = {
        'recipe_name': args.recipe, 'recipe': asdict(recipe), 'seed': args.seed, 'command': _command(),
        'commit': source_commit(), 'fine_tuned_from': card.sha256, 'sigma_scale': asdict(scale),
        'replay': args.replay or 'none',
    }
    told = Retraining(args.source, args.out, recordings, before, after, against, written, how)
    print(f"report: '{write_report(folder, told, old, new, **windows)}'")
    if not written:
        raise RetrainError(
            f"'{args.out}' is not written: on what was kept aside {'; '.join(against)}. Record more motion or views, "
            'train differently (--set), or give --force.'
        )
    export(
        lifter, args.out,
        training={
            **how, 'sources': args.data or [f'bag:{bag}' for bag in args.bag], **feed.identity,
            'uses_3d_labels': False,
        },
        metrics={
            'kept_aside': [recording.camera for recording in recordings], 'before': _known(before),
            'after': _known(after),
        },
        samples=real_windows(training, **windows), sigma_scale=scale, licence=card.licence,
        acknowledgement=card.acknowledgement, rate_hz=window_rate_hz(training, lifter.receptive_field),
    )
    print(f"'{args.out}' and its card")
    return 0


def _recorded(args: argparse.Namespace, recipe: Recipe) -> tuple[list[Recording], list[Sequence], Feed]:
    """Return what to check on, sequences of those to train on (of a store, a sample), and what the run is fed."""
    # Bags are read by another optional dependency (rosbags).
    from .data.bag import load_people

    if bool(args.bag) == bool(args.data) or not all(map(is_store, args.data)):
        raise ConfigError('Give either --bag BAG or --data store:STORE to fine-tune on.')
    if args.data:
        if args.cameras or args.held_out or args.frames or args.held_out_frames or args.rig:
            raise ConfigError(
                'Of a store whole bags are kept aside, and it holds their rigs: --cameras, --held-out, --frames, '
                '--held-out-frames and --rig are for --bag.'
            )
        shards = _shards(args.data)
        sample = [read_piece(shard, 0) for shard in shards[: recipe.stream.pieces]]
        return [unseen(s) for s in _load(args.data, test=True)], sample, Feed.streamed(shards, recipe, args.seed)
    rig = None if args.rig is None else load_rig(args.rig)
    people = [person for bag in args.bag for person in load_people(Path(bag), rig=rig)]
    everybody = [_kept_aside(person, args, tuple(args.cameras)) for person in people]
    # With --frames somebody may not be there.
    recordings = [r for r in everybody if (r.training.confidence > 0.0).any()] or everybody
    training = [recording.training for recording in recordings]
    return recordings, training, Feed.in_memory(training, recipe, args.seed)


def _other_people(
    args: argparse.Namespace, recipe: Recipe, old: Predictor, training: list[Sequence]
) -> tuple[Bank | None, list[Sequence]]:
    """Return other people to rehearse with, and others to check on: replayed, or made up from ``training``."""
    if args.replay:
        replayed = load_recipe('body17', {'data.up': recipe.data.up})
        bank = prepare(_load(args.replay, test=False), replayed.data, args.seed, gravity=recipe.model.gravity)
        return bank, _load(args.replay, test=True)
    poses = recipe.optim.rehearsal_poses
    if not poses:
        return None, []
    people = believed_people(old, training, recipe, poses, args.seed)
    others = believed_people(old, training, recipe, poses // _MADE_UP_TO_CHECK, args.seed + 1)
    return rehearsal_bank(old, people, recipe, args.seed), others


def _kept_aside(whole: Sequence, args: argparse.Namespace, cameras: tuple[str, ...] = ()) -> Recording:
    """Return the recording with what the arguments keep aside."""
    # Bags are read by another optional dependency (rosbags).
    from .data.bag import parse_range

    train, test = (parse_range(text) if text else None for text in (args.frames, args.held_out_frames))
    return keep_aside(whole, camera=args.held_out, cameras=cameras, train=train, test=test)


def _up_override(card: ModelCard) -> dict[str, object]:
    """Return the axis that the model's data had upwards."""
    up = card.training['recipe'].get('data', {}).get('up')
    return {'data.up': up} if up else {}


def _known(found: Check) -> dict[str, float]:
    """Return the numbers that were measured; JSON knows no NaN."""
    return {name: value for name, value in asdict(found).items() if math.isfinite(value)}


def _print_check(when: str, found: Check) -> None:
    known = '' if math.isnan(found.elsewhere_mm) else f', other people {found.elsewhere_mm:.1f} mm'
    print(
        f'{when:<7} {found.poses} poses: MPJPE {found.mpjpe_mm:.1f} mm, P-MPJPE {found.p_mpjpe_mm:.1f} mm, '
        f'reprojection {found.reprojection_px:.1f} px, {found.inside_percent:.0f} % within 2.8 sigma{known}'
    )


def run_fit_noise(args: argparse.Namespace) -> int:
    """Write the noise of the detector that saw the bags; return 0."""
    from .data.bag import load_people
    from .labels.fit_noise import fit_noise

    found = asdict(fit_noise([person for bag in args.bag for person in load_people(bag)]))
    args.out.write_text(yaml.safe_dump(found, sort_keys=False), encoding='utf-8')
    for name, value in found.items():
        print(f'{name:<14} {value:.4g}')
    return 0


def _model_overrides(training: Any) -> dict[str, object]:
    return {f'model.{name}': value for name, value in training['recipe']['model'].items()}


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand without the `geo_pose` program; return its exit status."""
    parser = argparse.ArgumentParser(prog='python -m geo_pose_training.cli')
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(arguments)
    return int(args.run(args))


if __name__ == '__main__':
    sys.exit(main())
