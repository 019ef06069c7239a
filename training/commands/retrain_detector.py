# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose retrain --detector`: fine-tune the keypoint network on what the cameras of a robot agree on."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from geo_pose_ros.commands.flags import set_values
from geo_pose_ros.detection.models.catalogue import find_model
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.inference.model_card import card_path, sha256
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.settings import build

from ..data.bag import load_people
from ..detector.check import CHECKED, check_detector, comparison_png, detector_objections
from ..detector.crops import Crops, gather
from ..detector.settings import TeachSettings
from ..detector.teach import load_network, teach
from ..retraining.hold_out import HoldOut
from ..retraining.report import Retraining, conclude
from .options import held_out, provenance

_CAPTION = 'Crops that were held out. Above: bodies that the other cameras give; then what was read before, and after.'


def run_detector(arguments: argparse.Namespace) -> int:
    """Teach, check, report and, if it is better, write the network and its card; return 0.

    Raises:
        ConfigError: for flags that are for lifters.
        RetrainError: if the network is not better on what was held out, and --force is not given.
    """
    if arguments.data or arguments.resume or arguments.recipe != 'retrain':
        raise ConfigError(
            '--detector learns from --bag, in one go, with --set; --data, --recipe and --resume are for lifters.'
        )
    if not arguments.bag:
        raise ConfigError('Give --bag BAG, with images of several calibrated cameras, to teach a detector on.')
    settings = build(TeachSettings, set_values(TeachSettings, arguments.set))
    source = find_model('blazepose_full') if arguments.source is None else arguments.source
    untaught, network = load_network(source), load_network(source)
    rig = None if arguments.rig is None else read_calibration(arguments.rig)
    hold_outs, train, test = [], [], []
    for bag in map(Path, arguments.bag):
        print(f"'{bag}': the large network reads its images; what it sees is kept for the next time", flush=True)
        people = [held_out(person, arguments, arguments.cameras) for person in load_people(bag, rig=rig)]
        crops = gather(bag, people, settings, arguments.seed)
        print(f"'{bag}': {len(crops['train'])} crops to learn from, {len(crops['test'])} to check on", flush=True)
        hold_outs += people
        train.append(crops['train'])
        test.append(crops['test'])
    train += [_rehearsed(_whole_bag(path, settings, arguments.seed, 'train')) for path in arguments.replay]
    elsewhere = [_whole_bag(path, settings, arguments.seed, 'test') for path in arguments.elsewhere]
    kept, others = Crops.concatenate(test), Crops.concatenate(elsewhere) if elsewhere else None
    before = check_detector(untaught, kept, others)
    print(f'before  {before}', flush=True)
    shown = Crops.concatenate(train)
    losses: list[dict[str, float]] = []

    def say(step: int, found: dict[str, float]) -> None:
        losses.append({'step': step, **found})
        print(f'step {step:>5}: ' + ', '.join(f'{name} {value:.3f}' for name, value in found.items()), flush=True)

    teach(network, shown, settings, arguments.seed, say)
    after = check_detector(network, kept, others)
    print(f'after   {after}')
    against = detector_objections(before, after)
    how = {
        'settings': asdict(settings), **provenance(arguments), 'fine_tuned_from': sha256(source), 'crops': len(shown),
        'replay': arguments.replay or 'none',
    }
    done = Retraining(
        source, arguments.out, hold_outs, before, after, CHECKED, against, not against or arguments.force, how, losses
    )
    folder = arguments.report or arguments.out.with_name(f'{arguments.out.stem}_report')
    conclude(folder, done, comparison_png(kept, (untaught, network)), _CAPTION)
    network.save(arguments.out)
    _write_card(done, source)
    print(f"'{arguments.out}' and its card; use it: pipeline.detector.model: {arguments.out}")
    return 0


def _whole_bag(path: str, settings: TeachSettings, seed: int, kind: str) -> Crops:
    """Return crops of all of a bag, labelled by all its cameras."""
    bag = Path(path.removeprefix('bag:'))
    everything = slice(None)
    people = [
        HoldOut(person, person.rig.names, '', everything, everything) for person in load_people(bag)
    ]
    return gather(bag, people, settings, seed, (kind,))[kind]


def _rehearsed(crops: Crops) -> Crops:
    """Return crops that are there so that nothing is forgotten."""
    return replace(crops, rehearsed=np.ones(len(crops), bool))


def _write_card(done: Retraining, source: Path) -> None:
    """Write the card of a taught network beside it: that of its source, and how it was taught."""
    of_source = card_path(source)
    card = json.loads(of_source.read_text(encoding='utf-8')) if of_source.is_file() else {}
    card |= {
        'name': done.out.stem, 'sha256': sha256(done.out), 'source': f'{card.get("name", source.stem)}, fine-tuned',
        'source_sha256': sha256(source), 'conversion': 'geo_pose retrain --detector',
        'training': dict(done.settings), 'metrics': {
            'kept_aside': [held.camera for held in done.hold_outs],
            'before': done.before.known(), 'after': done.after.known(),
        },
    }
    card.pop('largest_difference_to_tflite', None)
    card_path(done.out).write_text(json.dumps(card, indent=1, default=str) + '\n', encoding='utf-8')
