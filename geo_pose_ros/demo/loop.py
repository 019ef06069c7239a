# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Record a running node, retrain its lifter on the recording, put it into the node, and measure again.

The node is never restarted. It works while the lifter is trained and exchanged, on footage that is played again and
again: this shows whether the exchange loses anybody.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from ..arrays import IntArray
from ..bags.read import BagReader
from ..bags.write import NODE
from ..errors import BagError
from ..messages.clouds.bodies import bodies_from_cloud
from .live import LiveSystem, geo_pose, prepare

_BODIES, _SKELETON = f'{NODE}/bodies', f'{NODE}/skeleton'
_RECORDED = f'{NODE}/(bodies|skeleton|keypoints/.*)|/[^/]*/camera_info'
# Of the last set.
_LATE_S = 3.0


@dataclass(frozen=True, slots=True)
class Split:
    """What is trained on, and what is kept aside: ``camera``, and frames as `geo_pose retrain` takes them."""

    camera: str
    train: str
    test: str

    @property
    def words(self) -> list[str]:
        """As arguments."""
        return ['--held-out', self.camera, '--frames', self.train, '--held-out-frames', self.test]


@dataclass(frozen=True, slots=True)
class Exchange:
    """How the node took its new lifter.

    Attributes:
        before, after: hashes of the models.
        sets_before, sets_after: sets that were published around the exchange.
        kept, lost: body ids of the last set before that the first one after has, and has not.
    """

    before: str
    after: str
    sets_before: int
    sets_after: int
    kept: tuple[int, ...]
    lost: tuple[int, ...]


def run_loop(out: Path, rate: float, split: Split) -> Exchange:
    """Go round once; everything is written under ``out``: before, during and after (bags), model.onnx, model_report.

    The footage is played at ``rate``, slow enough for the node to take every frame.

    Raises:
        BagError: if a part of it failed, or the new model is not better; names the part and its log.
    """
    material = prepare(out, 'person')
    model = out / 'model.onnx'
    for stale in (model, model.with_suffix('.json')):
        stale.unlink(missing_ok=True)
    rig = str(out / 'rig.yaml')
    player = material.player('--rate', str(rate))
    system = LiveSystem(out)

    def record_footage(bag: str) -> None:
        """Record the node while the footage is played once, until the node is done with it."""
        with system.recorder(bag, _RECORDED):
            system.finish('play', player)
            time.sleep(_LATE_S)

    with system.node():
        print('the node, live, is recorded')
        record_footage('before')
        with system.recorder('during', _RECORDED), system.running('play_on', [*player, '--loop']):
            print('its lifter is retrained; the node goes on')
            system.finish('retrain', [
                *geo_pose('retrain'), '--bag', str(out / 'before'), '--rig', rig, *split.words,
                '--out', str(model), '--overwrite', '--report', str(_fresh(out / 'model_report')),
            ])
            print('and put into the running node')
            system.finish('reload', [*geo_pose('reload'), str(model), '--node', NODE])
            time.sleep(_LATE_S)
        print('which is recorded again')
        record_footage('after')
    print('and measured again, on what it saw with the new lifter')
    for lifter in ([], [str(model)]):
        data = ['--data', json.dumps({'bag': str(out / 'after'), 'rig': rig}), *split.words]
        system.finish('evaluate', [*geo_pose('evaluate'), *lifter, *data])
    exchange = read_exchange(out / 'during')
    (out / 'loop.json').write_text(json.dumps({
        'models': [exchange.before, exchange.after], 'sets': [exchange.sets_before, exchange.sets_after],
        'bodies_kept': exchange.kept, 'bodies_lost': exchange.lost,
    }, indent=1) + '\n')
    return exchange


def read_exchange(recording: Path) -> Exchange:
    """Return what a recording says of the exchange of the node's lifter.

    Raises:
        BagError: if the lifter did not change in it once, or no set was published on either side.
    """
    models: list[tuple[int, str]] = []
    sets: list[tuple[int, IntArray]] = []
    with BagReader(recording) as reader:
        for message in reader.messages((_BODIES, _SKELETON)):
            if message.topic == _BODIES:
                sets.append((message.time_ns, bodies_from_cloud(message.decode()).body_ids))
            else:
                said = json.loads(message.decode().data)['model_card_hash']
                if not models or models[-1][1] != said:
                    models.append((message.time_ns, said))
    if len(models) != 2:
        raise BagError(f"Recording '{recording}': the node lifted by {len(models)} models, expected 2: before, after.")
    changed_ns = models[1][0]
    before = [ids for time_ns, ids in sets if time_ns < changed_ns]
    after = [ids for time_ns, ids in sets if time_ns >= changed_ns]
    if not before or not after:
        raise BagError(
            f"Recording '{recording}': {len(before)} sets before and {len(after)} after the lifter changed; expected "
            'some of both. Is the machine too slow for the footage? Lower --rate.'
        )
    kept, lost = np.intersect1d(before[-1], after[0]), np.setdiff1d(before[-1], after[0])
    return Exchange(
        models[0][1], models[1][1], len(before), len(after), tuple(kept.tolist()), tuple(lost.tolist())
    )


def _fresh(folder: Path) -> Path:
    """Return a folder beside ``folder`` that does not exist yet: a run is never overwritten."""
    return next(made for n in count(1) if not (made := folder.with_name(f'{folder.name}_{n}')).exists())
