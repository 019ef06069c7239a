# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The store: what is written comes back, what is wrong is said, and training streams from it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
from geo_pose_training.batches import EpochDraw, epoch_batches
from geo_pose_training.cli import main
from geo_pose_training.data.bag import load_people
from geo_pose_training.data.prepare import prepare
from geo_pose_training.data.recording import PersonRecording, data_hash
from geo_pose_training.data.sources import StoreSource
from geo_pose_training.data.store import from_bags as store_bags
from geo_pose_training.data.store.shards import (
    SUFFIX,
    StoreError,
    StoreSettings,
    open_store,
    read_recording,
    read_shard,
    seen_joints,
    write_shard,
)
from geo_pose_training.data.store.stream import Stream, store_hash
from geo_pose_training.labels.triangulation import refined_labels
from geo_pose_training.settings import Recipe, StreamSettings, load_recipe

from geo_pose_ros import cli
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.inference.model_card import load_card
from test.training.conftest import TINY_STREAM, set_options
from test.training.people import recorded_person, write_bag


def _write(folder: Path, count: int = 3, frames: int = 20, piece: int = 8) -> list[PersonRecording]:
    """Write a store of people who were seen for 20 frames each, in pieces of 8, 8 and 4."""
    people = [recorded_person(frames, noise_px=1.0, seed=seed, name=f'walk{seed}') for seed in range(count)]
    for person in people:
        write_shard(folder / f'{person.name}{SUFFIX}', person, StoreSettings(piece), {'from': person.name})
    return people


def _recipe(name: str = 'pseudo_label', **changes: object) -> Recipe:
    return load_recipe(name, {**TINY_STREAM, **changes})


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    seen = recorded_person(20, noise_px=1.0)
    seen.xy[3, 1, 5] = np.nan
    seen.confidence[3, 1, 5] = 0.0
    seen = replace(seen, stamp_ns=np.arange(20) * 33_000_000)
    write_shard(tmp_path / f'walk{SUFFIX}', seen, StoreSettings(8), {'bag': 'walk'})
    (shard,) = open_store(tmp_path)
    assert (shard.cameras, shard.frames, shard.pieces, shard.made_from) == (4, 20, 3, {'bag': 'walk'})
    assert shard.hash == data_hash([seen])
    labels, weight = refined_labels(seen)
    whole = read_recording(shard)
    pieces = (read_recording(shard, 1), slice(8, 16)), (read_recording(shard, 2), slice(16, 20))
    for found, chosen in ((whole, slice(None)), *pieces):
        # Kept with single precision.
        np.testing.assert_array_equal(found.xy, seen.xy[chosen].astype(np.float32))
        np.testing.assert_array_equal(found.confidence, seen.confidence[chosen].astype(np.float32))
        assert found.refined is not None and found.stamp_ns is not None
        np.testing.assert_array_equal(found.refined[0], labels[chosen].astype(np.float32))
        np.testing.assert_array_equal(found.refined[1], weight[chosen].astype(np.float32))
        np.testing.assert_array_equal(found.stamp_ns, seen.stamp_ns[chosen])
        np.testing.assert_array_equal(found.cam_from_world, seen.cam_from_world)
        assert (found.name, found.subject, found.fps, found.rig.names) == ('walk', 'someone', 30.0, seen.rig.names)
    assert data_hash([whole]) == shard.hash
    counts = np.concatenate(list(seen_joints(shard)))
    assert counts.shape == (20, 4) and counts[3, 1] == 16 and counts.sum() == 20 * 4 * 17 - 1


def test_a_store_that_is_none_empty_damaged_or_foreign_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="does not exist; make one: geo_pose store"):
        open_store(tmp_path / 'none')
    with pytest.raises(StoreError, match='holds no shard; fill it'):
        open_store(tmp_path)
    _write(tmp_path, count=1)
    path = tmp_path / f'walk0{SUFFIX}'
    good = path.read_bytes()
    shard = read_shard(path)
    # Cut off, and a byte of the keypoints turned.
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(StoreError, match=r'walk0.parquet. is damaged .* delete it and run geo_pose store again'):
        open_store(tmp_path)
    column = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(good)).metadata.row_group(1).column(2)
    middle = column.data_page_offset + column.total_compressed_size // 2
    path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
    assert read_shard(path) == shard
    read_recording(shard, 0)
    with pytest.raises(StoreError, match='is damaged or cannot be read'):
        read_recording(shard, 1)
    path.write_bytes(good)
    read_recording(shard, 1)
    monkeypatch.setattr('geo_pose_training.data.store.shards._VERSION', 2)
    with pytest.raises(StoreError, match=r'no shard of version 2 \(it says 1\)'):
        open_store(tmp_path)
    monkeypatch.undo()
    table = pyarrow.parquet.read_table(path)
    about = json.loads(table.schema.metadata[b'geo_pose'])
    about['skeleton'] = ['head', 'tail']
    text = json.dumps(about).encode()
    pyarrow.parquet.write_table(table.replace_schema_metadata({b'geo_pose': text}), path)
    with pytest.raises(StoreError, match='its description has changed'):
        open_store(tmp_path)
    signed = {b'geo_pose': text, b'geo_pose_sha256': hashlib.sha256(text).hexdigest()}
    pyarrow.parquet.write_table(table.replace_schema_metadata(signed), path)
    with pytest.raises(StoreError, match='another skeleton, head, tail'):
        open_store(tmp_path)
    pyarrow.parquet.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(StoreError, match='it says nothing'):
        open_store(tmp_path)
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with pytest.raises(StoreError, match='pip install pyarrow'):
        open_store(tmp_path)


def test_every_fifth_bag_is_the_test_part(tmp_path: Path) -> None:
    _write(tmp_path, count=7, frames=4)
    source, thirds = StoreSource(str(tmp_path)), StoreSource(str(tmp_path), aside=3)
    assert [shard.path.stem for shard in source.shards(test=True)] == ['walk1', 'walk6']
    assert [seen.name for seen in thirds.load(test=True)] == ['walk1', 'walk4']
    assert [seen.name for seen in thirds.load(test=False)] == ['walk0', 'walk2', 'walk3', 'walk5', 'walk6']
    for number in range(1, 7):
        (tmp_path / f'walk{number}{SUFFIX}').unlink()
    assert len(source.shards(test=False)) == 1
    with pytest.raises(StoreError, match='holds one bag only, none to test on'):
        source.shards(test=True)


@pytest.mark.parametrize('name', ['pseudo_label', 'li2020', 'retrain', 'geo'])
def test_a_stream_prepares_what_memory_would(name: str, tmp_path: Path) -> None:
    _write(tmp_path, piece=20)
    shards = open_store(tmp_path)
    recipe = _recipe(name, **{'stream.pieces': 3, 'stream.lanes': 1})
    (streamed,) = Stream(shards, recipe, 5).banks(0).values()
    numbers = [int(n) for n in np.random.default_rng((5, 0)).permutation(3)]
    people = [read_recording(shards[number]) for number in numbers]
    expected = prepare(people, recipe.data, 5, gravity=recipe.model.gravity, numbers=numbers)
    for part in ('pose2d', 'view_from_world', 'label', 'label_weight', 'valid', 'first', 'last'):
        assert torch.equal(getattr(streamed, part), getattr(expected, part)), part
    assert len(streamed) == 60 * (1 + recipe.data.copies.count)


def test_every_piece_comes_once_before_one_comes_again(tmp_path: Path) -> None:
    _write(tmp_path, count=4)
    shards = open_store(tmp_path)
    recipe = _recipe(**{'data.labels': 'none', 'loss.label': 0.0, 'loss.transform': 1.0})
    stream = Stream(shards, recipe, 0)
    assert len(stream) == 12
    first, again = ([stream._numbers(epoch) for epoch in epochs] for epochs in ((0, 1, 2), (3, 4, 5)))
    for epochs in (first, again):
        assert sorted(n for lanes in epochs for own in lanes.values() for n in own) == list(range(12))
    assert first != again
    assert stream.banks(1) is stream.banks(1)
    assert stream.banks(1) is not stream.banks(2)
    # Each of two processes has a lane of its own, the same as one process has.
    for rank in (0, 1):
        half = Stream(shards, recipe, 0, rank=rank, world=2)
        assert [half._numbers(epoch) for epoch in (0, 1, 2)] == [{rank: lanes[rank]} for lanes in first]
    # Fewer pieces than lanes are there several times.
    few = Stream(shards[:1], _recipe(**{'stream.lanes': 8, 'stream.pieces': 8}), 0)
    shared = [n for own in few._numbers(0).values() for n in own]
    assert len(shared) == 8 and {shared.count(n) for n in range(3)} == {2, 3}


def test_batches_hold_equal_parts_of_the_lanes(tmp_path: Path) -> None:
    _write(tmp_path, count=2, piece=20)
    recipe = _recipe(**{'stream.pieces': 2})
    stream = Stream(open_store(tmp_path), recipe, 0)
    batches = list(epoch_batches(stream, recipe, EpochDraw(0, 0, share=32, steps=3)))
    assert [len(batch.window) for batch in batches] == [32] * 3
    labels = {lane: {tuple(row) for row in bank.label[:, 0].tolist()} for lane, bank in stream.banks(0).items()}
    for batch in batches:
        # A label turned back out of its view.
        seen = batch.label[:, 0, 0]
        world = torch.where(batch.flip[:, 0, None], seen * torch.tensor([-1.0, 1.0, 1.0]), seen)
        world = (world[:, None] @ batch.view_from_world[:, 0, :, :3])[:, 0]
        for lane, own in ((0, world[:16]), (1, world[16:])):
            known = torch.tensor(sorted(labels[lane]))
            assert float(torch.cdist(own, known).min(1).values.max()) < 1e-4


def test_pieces_without_a_whole_view_are_left_out(tmp_path: Path) -> None:
    seen = recorded_person(20)
    seen.confidence[8:16] = 0.0
    write_shard(tmp_path / f'walk{SUFFIX}', seen, StoreSettings(8), {})
    assert [piece for _, piece in Stream(open_store(tmp_path), _recipe(), 0)._pieces] == [0, 2]
    seen.confidence[:] = 0.0
    write_shard(tmp_path / f'walk{SUFFIX}', seen, StoreSettings(8), {})
    with pytest.raises(StoreError, match='No frame of 1 shards has 1 views with 14 joints'):
        Stream(open_store(tmp_path), _recipe(), 0)


def test_what_cannot_be_streamed_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, count=1)
    shards = open_store(tmp_path)
    for recipe, world, words in (
        (_recipe('supervised'), 1, 'holds no 3D truth'),
        (_recipe(**{'data.extrinsics': 'joints'}), 1, r'set data\.extrinsics to given'),
        (_recipe(), 3, r'3 processes do not divide stream.lanes, 2; set it to a multiple of 3'),
        (_recipe(**{'optim.batch': 33}), 1, r'optim.batch is 33; expected a multiple of .*, 2 x 1'),
    ):
        with pytest.raises(ConfigError, match=words):
            Stream(shards, recipe, 0, world=world)
    with pytest.raises(ConfigError, match='a lane needs a piece'):
        StreamSettings(pieces=2, lanes=4)
    write_shard(tmp_path / f'two{SUFFIX}', recorded_person(8, cameras=2), StoreSettings(8), {})
    with pytest.raises(ConfigError, match=r'The rigs have \[2, 4\] cameras; set data.cameras to 2'):
        Stream(open_store(tmp_path), _recipe(), 0)
    assert len(Stream(open_store(tmp_path), _recipe(**{'data.cameras': 2}), 0)) == 4


@pytest.fixture
def bags(tmp_path: Path) -> Path:
    """Return a folder of three bags, one of them empty of people, and of something that is no bag."""
    for name in ('walk0', 'walk1', 'nobody'):
        seen = recorded_person(30, noise_px=1.0, seed=len(name), name=name)
        if name == 'nobody':
            seen.confidence[:, 1:] = 0.0
        write_bag(tmp_path / 'bags' / name, seen)
    (tmp_path / 'bags' / 'torn').mkdir()
    return tmp_path / 'bags'


def test_bags_are_stored_once_and_one_that_fails_costs_only_itself(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ['store', str(bags / '*'), '--out', str(tmp_path / 'store'), '--workers', '1', '--set', 'piece_frames=20']
    assert cli.main(command) == 1
    printed = capsys.readouterr().out
    assert 'nobody was seen by two cameras at once' in printed
    assert '4 bags, 2 failed, 60 sets, 60 bodies' in printed
    shards = open_store(tmp_path / 'store')
    assert [shard.path.stem for shard in shards] == ['walk0', 'walk1']
    (whole,) = load_people(bags / 'walk0')
    assert shards[0].hash == data_hash([whole]) and shards[0].pieces == 2
    assert 0.3 < shards[0].made_from['reprojection_px'] < 2.0
    before = shards[0].path.stat().st_mtime_ns
    # What is whole stays; what is torn, of other settings or of a bag that changed is made again.
    made: list[str] = []
    written = store_bags.write_shard

    def remember(path: Path, *rest: Any) -> None:
        made.append(path.stem)
        written(path, *rest)

    monkeypatch.setattr(store_bags, 'write_shard', remember)
    jobs = [
        store_bags.StoreJob(bags / name, tmp_path / 'store' / name, StoreSettings(20), None, (), 'body17')
        for name in ('walk0', 'walk1')
    ]
    assert [outcome.sets for outcome in (job.done() for job in jobs) if outcome] == [30, 30]
    shards[1].path.write_bytes(shards[1].path.read_bytes()[:1000])
    assert jobs[1].done() is None
    assert replace(jobs[0], settings=StoreSettings(10)).done() is None
    jobs[1].run()
    assert made == ['walk1']
    assert jobs[1].done() is not None
    assert shards[0].path.stat().st_mtime_ns == before
    os.utime(next((bags / 'walk0').iterdir()), ns=(1, 1))
    assert jobs[0].done() is None


@pytest.mark.slow
def test_train_evaluate_and_retrain_from_a_store(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / 'store'
    words = ['store', str(bags / 'walk*'), '--out', str(store), '--workers', '1']
    assert cli.main([*words, '--set', 'piece_frames=10']) == 0
    run = tmp_path / 'run'
    command = ['train', '--recipe', 'pseudo_label', '--out', str(run), *set_options(TINY_STREAM), '--quiet']
    assert main([*command, '--data', f'store:{store}']) == 0
    data = json.loads((run / 'data.json').read_text())
    training = StoreSource(str(store)).shards(test=False)
    assert (data['frames'], data['sequences'], data['hash']) == (30, 1, store_hash(training))
    assert main(['evaluate', str(run), '--data', f'store:{store}']) == 0
    assert main(['models', 'export', str(run), '--out', str(tmp_path / 'small.onnx')]) == 0
    with pytest.raises(ConfigError, match='give stores only as --data, or none'):
        main([*command, '--data', f'store:{store}', '--data', f'bag:{bags / "walk0"}'])
    retrain = ['retrain', '--from', str(tmp_path / 'small.onnx'), '--out', str(tmp_path / 'new.onnx')]
    changed = {
        'data.copies.count': 1, 'optim.steps': 20, 'optim.steps_per_epoch': 10, 'optim.batch': 32,
        'optim.rehearsal_poses': 20, 'stream.pieces': 4, 'stream.lanes': 2,
    }
    assert main([*retrain, '--data', f'store:{store}', *set_options(changed), '--force']) == 0
    card = load_card(tmp_path / 'new.onnx')
    assert card.training['sources'] == [f'{{store: {store}}}']
    assert card.training['hash'] == store_hash(training)
    # The bag that is kept aside, of 30 frames, and its last camera.
    assert card.metrics['after']['poses'] == 30
    assert card.metrics['after']['mpjpe_mm'] < card.metrics['before']['mpjpe_mm']
    written = json.loads((tmp_path / 'new_report' / 'report.json').read_text())
    assert [r['training_frames'] for r in written['recordings']] == [0]
    retrain += ['--overwrite']
    with pytest.raises(ConfigError, match='either --bag BAG or --data store:STORE'):
        main(retrain)
    with pytest.raises(ConfigError, match='whole bags are kept aside'):
        main([*retrain, '--data', f'store:{store}', '--held-out', 'cam3'])


@pytest.mark.slow
def test_people_of_one_bag_have_a_shard_each_and_are_on_one_side(tmp_path: Path) -> None:
    for name in ('a', 'b'):
        write_bag(tmp_path / 'bags' / name, recorded_person(50, seed=1), recorded_person(50, seed=2, aside_m=1.6))
    command = ['store', str(tmp_path / 'bags' / '*'), '--out', str(tmp_path / 'store'), '--workers', '1']
    assert cli.main(command) == 0
    shards = open_store(tmp_path / 'store')
    assert [shard.path.name for shard in shards] == [
        'a.parquet', 'a.person2.parquet', 'b.parquet', 'b.person2.parquet'
    ]
    assert [shard.hash for shard in shards[:2]] == [data_hash([p]) for p in load_people(tmp_path / 'bags' / 'a')]
    store = StoreSource(str(tmp_path / 'store'))
    for test, bag in ((False, 'a'), (True, 'b')):
        assert [shard.path.stem for shard in store.shards(test=test)] == [bag, f'{bag}.person2']
    # One that was damaged, or is of somebody who is no longer there, is made again or goes.
    shards[1].path.write_bytes(b'torn')
    (tmp_path / 'store' / 'a.person3.parquet').write_bytes(shards[0].path.read_bytes())
    kept = shards[2].path.stat().st_mtime_ns
    assert cli.main(command) == 0
    assert [shard.path.name for shard in open_store(tmp_path / 'store')] == [shard.path.name for shard in shards]
    assert shards[2].path.stat().st_mtime_ns == kept
