"""`geo_pose loop`: a running node is recorded, its lifter retrained on that, put into the node, and measured again.

The node is never restarted. It works while the lifter is trained and exchanged, on the footage played over and over, so
that it shows whether somebody is lost by it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import IntArray
from ..bags.read import BagReader
from ..errors import BagError
from ..messages.clouds.bodies import bodies_from_cloud
from .run import BODIES, NODE, Material, geo_pose, last_line, prepare, running

_RECORDED = f'{NODE}/(bodies|skeleton|keypoints/.*)|/[^/]*/camera_info'
_SKELETON = f'{NODE}/skeleton'
_START_TIMEOUT_S = 120.0
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


def run_loop(out: Path, cache: Path, rate: float, split: Split) -> Exchange:
    """Go round once; everything is written under ``out``: before, during and after (bags), model.onnx, model_report.

    Args:
        out: a folder.
        cache: where downloads are kept.
        rate: at which the footage is played; slow enough for the node to take every frame.
        split: what is trained on.

    Raises:
        BagError: if a part of it failed, or the new model is not better; names the part and its log.
    """
    material = prepare(out, cache, 'person')
    logs = out / 'logs'
    logs.mkdir(exist_ok=True)
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(random.SystemRandom().randrange(1, 100))}
    model = out / 'model.onnx'
    for stale in (model, model.with_suffix('.json')):
        stale.unlink(missing_ok=True)
    rig = out / 'rig.yaml'
    command = [*geo_pose('node'), '--ros-args', '-p', f'rig:={rig.resolve()}']
    with running('pose_node', command, logs, environment) as node:
        print('3/7  the node, live, is recorded')
        with _recorded(out / 'before', logs, environment):
            _play(material, logs, environment, rate)
        if node.poll() is not None:
            raise BagError(f'pose_node ended with status {node.returncode}: {last_line(logs / "pose_node.log")}')
        with _recorded(out / 'during', logs, environment), running(
            'play', _player(material, rate, '--loop'), logs, environment
        ):
            print('4/7  its lifter is retrained; the node goes on')
            report = out / 'model_report'
            _run('retrain', [
                *geo_pose('retrain'), '--bag', str(out / 'before'), '--rig', str(rig), *split.words,
                '--out', str(model), '--report', str(_fresh(report)),
            ], logs, environment)
            print('5/7  and put into the running node')
            _run('reload', [*geo_pose('reload'), str(model), '--node', NODE], logs, environment)
            time.sleep(_LATE_S)
        print('6/7  which is recorded again')
        with _recorded(out / 'after', logs, environment):
            _play(material, logs, environment, rate)
    print('7/7  and measured again, on what it saw with the new lifter')
    for lifter in ('', str(model)):
        _run('evaluate', [
            *geo_pose('evaluate'), *([lifter] if lifter else []), '--data', f'bag:{out / "after"},rig:{rig}',
            *split.words,
        ], logs, environment)
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
        for message in reader.messages((BODIES, _SKELETON)):
            if message.topic == BODIES:
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
    number = 1
    while (made := folder.with_name(f'{folder.name}_{number}')).exists():
        number += 1
    return made


@contextmanager
def _recorded(bag: Path, logs: Path, environment: Mapping[str, str]) -> Iterator[None]:
    record = [*geo_pose('record'), '--out', str(bag), '--overwrite', '--regex', _RECORDED]
    with running(f'record_{bag.name}', record, logs, environment):
        yield


def _player(material: Material, rate: float, *more: str) -> list[str]:
    infos = [f'/{camera}/camera_info' for camera in material.rig.names]
    return [
        *geo_pose('play'), str(material.bag), '--restamp', '--rate', str(rate), '--wait', str(_START_TIMEOUT_S),
        '--topics', *material.images, *infos, *more,
    ]


def _play(material: Material, logs: Path, environment: Mapping[str, str], rate: float) -> None:
    """Play the footage once, and wait for the node to be done with it."""
    _run('play', _player(material, rate), logs, environment)
    time.sleep(_LATE_S)


def _run(name: str, command: Sequence[str], logs: Path, environment: Mapping[str, str]) -> None:
    """Run a command to its end and show what it printed; raise BagError if it failed."""
    log = logs / f'{name}.log'
    with log.open('w') as errors:
        done = subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, stderr=errors, check=False)
    sys.stdout.write(done.stdout.decode())
    if done.returncode != 0:
        raise BagError(f'{name} ended with status {done.returncode}: {last_line(log)}')
