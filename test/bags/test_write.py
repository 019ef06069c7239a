# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bags are written whole or not at all, and never over something else."""

import subprocess
import sys
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader

from geo_pose_ros.bags import write
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.storage.kinds import is_bag
from geo_pose_ros.bags.write import DEFAULT_QOS, LATCHED_QOS, BagWriter
from geo_pose_ros.errors import BagError

make = RosbagsFactory()


def say(writer: BagWriter, text: str, time_ns: int = 10) -> None:
    writer.write('/words', make('std_msgs/msg/String', data=text), time_ns)


def words(path: Path) -> list[str]:
    with BagReader(path) as reader:
        return [message.decode().data for message in reader.messages()]


def write_words(path: Path, *texts: str, **options) -> None:
    with BagWriter(path, **options) as writer:
        for number, text in enumerate(texts):
            say(writer, text, 10 + number)


@pytest.mark.parametrize(('storage', 'suffix'), [('mcap', '.mcap'), ('sqlite3', '.db3')])
def test_both_storages_and_what_ros_needs_to_play_them(tmp_path, storage, suffix):
    bag = tmp_path / 'deep' / 'talk'
    with BagWriter(bag, storage) as writer:
        say(writer, 'one')
        writer.write('/tf_static', make('tf2_msgs/msg/TFMessage'), 20)
        writer.write('/pose_node/skeleton', make('std_msgs/msg/String'), 30)
        writer.add_topic('/silent', 'std_msgs/msg/String')
    assert sorted(p.name for p in bag.iterdir()) == ['metadata.yaml', f'talk{suffix}']
    assert [p.name for p in bag.parent.iterdir()] == ['talk']
    with Reader(bag) as reader:
        qos = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert qos == {
        '/words': [DEFAULT_QOS], '/tf_static': [LATCHED_QOS], '/pose_node/skeleton': [LATCHED_QOS],
        '/silent': [DEFAULT_QOS],
    }  # fmt: skip
    assert LATCHED_QOS.durability.name == 'TRANSIENT_LOCAL' and LATCHED_QOS.reliability.name == 'RELIABLE'
    assert counts == {'/words': 1, '/tf_static': 1, '/pose_node/skeleton': 1, '/silent': 0}


def test_existing_bag_is_kept_unless_asked(tmp_path):
    bag = tmp_path / 'talk'
    write_words(bag, 'old')
    with pytest.raises(BagError, match=r"talk' exists already\. Choose another path, or give --overwrite"):
        BagWriter(bag)
    assert words(bag) == ['old']
    write_words(bag, 'new', 'newer', overwrite=True)
    assert words(bag) == ['new', 'newer']
    assert [p.name for p in tmp_path.iterdir()] == ['talk']


def test_what_is_no_bag_is_never_replaced(tmp_path):
    folder, file = tmp_path / 'folder', tmp_path / 'thesis'
    folder.mkdir()
    file.write_text('years of work')
    for target in (folder, file):
        assert not is_bag(target)
        with pytest.raises(BagError, match='exists and is not a bag; it is not replaced'):
            BagWriter(target, overwrite=True)
        assert target.exists()


@pytest.mark.parametrize(
    ('error', 'texts', 'keep_partial'),
    [(ValueError, ['half'], False), (KeyboardInterrupt, ['half'], False), (ValueError, [], True)],
    ids=['error', 'interrupt', 'recording that did not begin'],
)
def test_an_error_leaves_no_half_bag(tmp_path, error, texts, keep_partial):
    bag = tmp_path / 'talk'
    write_words(bag, 'old')
    for path in (tmp_path / 'other', bag):
        with pytest.raises(error), BagWriter(path, overwrite=True, keep_partial=keep_partial) as writer:
            for text in texts:
                say(writer, text)
            raise error('stop')
    assert [p.name for p in tmp_path.iterdir()] == ['talk'] and words(bag) == ['old']


def test_a_killed_recording_is_in_its_place(tmp_path):
    """What a power cut leaves: no metadata, no index, but every whole chunk."""
    code = f"""
import os, pathlib
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.write import BagWriter
make = RosbagsFactory()
with BagWriter(pathlib.Path({str(tmp_path / 'talk')!r}), keep_partial=True) as writer:
    for number in range(30):
        writer.write('/words', make('std_msgs/msg/String', data=str(number) + ' ' * 300_000), number)
    os._exit(9)
"""
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 9
    read = [int(text) for text in words(tmp_path / 'talk')]
    # Four messages fill a chunk; the last chunk was in memory.
    assert read == list(range(28))


def test_an_interrupted_recording_is_kept(tmp_path):
    bag = tmp_path / 'talk'
    write_words(bag, 'old')
    with pytest.raises(KeyboardInterrupt), BagWriter(bag, keep_partial=True, overwrite=True) as writer:
        say(writer, 'one')
        say(writer, 'two', 20)
        raise KeyboardInterrupt
    assert words(bag) == ['one', 'two'] and [p.name for p in tmp_path.iterdir()] == ['talk']


def test_topic_has_one_type(tmp_path):
    with BagWriter(tmp_path / 'talk') as writer:
        say(writer, 'one')
        with pytest.raises(BagError, match="'/words' holds std_msgs/msg/String already, received std_msgs/msg/Header"):
            writer.write('/words', make('std_msgs/msg/Header'), 20)


def test_refusals(tmp_path):
    with pytest.raises(BagError, match="Unknown bag storage 'tape'; expected one of mcap, sqlite3"):
        BagWriter(tmp_path / 'talk', 'tape')
    (tmp_path / 'file').write_text('')
    with pytest.raises(BagError, match='cannot be written'), BagWriter(tmp_path / 'file' / 'talk'):
        pass


def test_failure_at_the_end_says_where_the_data_is(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(write.Path, 'rename', fail)
    with (
        pytest.raises(BagError, match=r"could not be finished: disk full\. What was written is in '.*partial"),
        BagWriter(tmp_path / 'talk') as writer,
    ):
        say(writer, 'one')
    monkeypatch.undo()
    left = next(tmp_path.glob('.talk.partial-*')) / 'talk'
    assert words(left) == ['one']
