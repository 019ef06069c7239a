# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Typed settings: one statement, many uses."""


from dataclasses import dataclass, field

import pytest
import yaml

from geo_pose_ros.commands.flags import add_settings, settings_from
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.settings import build, flatten, setting, to_ros_yaml, walk


@dataclass(frozen=True, slots=True)
class Inner:
    gain: float = setting(0.5, 'How much', unit='m', low=0.0, high=1.0)
    mode: str = setting('soft', 'Which way', choices=('soft', 'hard'), formerly='way')


@dataclass(frozen=True, slots=True)
class Outer:
    names: tuple[str, ...] = setting((), 'Who')
    inner: Inner = field(default_factory=Inner)
    count: int = setting(3, 'How many', low=1)
    enabled: bool = setting(True, 'Whether')


def test_walk_yields_leaves_in_order():
    assert [s.name for s in walk(Outer)] == ['names', 'inner.gain', 'inner.mode', 'count', 'enabled']
    assert next(s for s in walk(Outer(inner=Inner(gain=0.25))) if s.name == 'inner.gain').default == 0.25


def test_build_from_flat_names():
    assert build(Outer, {'inner.gain': 1, 'names': ['a', 'b'], 'enabled': False}) == Outer(
        ('a', 'b'), Inner(1.0, 'soft'), 3, False
    )


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'inner.gian': 0.1}, r"Unknown parameter 'inner.gian'\. Did you mean 'inner.gain'\?"),
        ({'inner.gain': 1.5}, r"'inner.gain': received 1.5, expected 0 .. 1 m"),
        ({'inner.gain': float('nan')}, "received nan"),
        ({'inner.gain': '0.5'}, "received '0.5', expected a float"),
        ({'inner.mode': 'loud'}, "received 'loud', expected one of soft, hard"),
        ({'count': 0}, r'received 0, expected 1 .. inf'),
        ({'count': True}, 'received True, expected a int'),
        ({'names': [1]}, 'expected a list of strings'),
    ],
)
def test_build_refuses(values, message):
    with pytest.raises(ConfigError, match=message):
        build(Outer, values)


def test_yaml_round_trips_and_carries_descriptions():
    text = to_ros_yaml(Outer, 'node', 'Made.')
    tree = yaml.safe_load(text)['node']['ros__parameters']
    assert build(Outer, flatten(tree)) == Outer()
    assert '# How much [m, 0 .. 1]' in text
    assert text.startswith('# Made.\n')


def test_every_shipped_default_is_within_its_own_bounds():
    assert build(PipelineConfig, {s.name: s.default for s in walk(PipelineConfig)}) == PipelineConfig()


def test_flags():
    parser = Parser()
    add_settings(parser, Outer, flags=('count',))
    given = parser.parse_args(
        ['--set', 'inner.gain=0.75', '--set', 'enabled=no', '--set', 'names=a, b', '--count', '3']
    )
    assert settings_from(Outer, given) == Outer(('a', 'b'), Inner(0.75), 3, False)
    with pytest.raises(ConfigError, match=r'received 7\.0'):
        settings_from(Outer, parser.parse_args(['--set', 'inner.gain=7']))


@pytest.mark.parametrize(('kind', 'old', 'new'), [(Outer, 'inner.way', 'inner.mode'), (Inner, 'way', 'mode')])
def test_an_old_name_is_refused_with_the_new_one(kind, old, new):
    with pytest.raises(ConfigError, match=f"'{old}' is called '{new}' now"):
        build(kind, {old: 'hard'})
