# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The documentation: its commands run, its reference is the code's, its links lead somewhere."""

import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from geo_pose_ros import cli
from geo_pose_ros.rigs.files import write_calibration
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.settings import walk

from ..evaluation.moving import write_walk
from ..examples.test_examples import load_module
from ..videos import write_two_videos

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
BLOCK = re.compile(r'^```sh(?P<words>[^\n]*)\n(?P<body>.*?)^```', re.DOTALL | re.MULTILINE)
# What a block may need that a test has not: a robot, the network, torch, a recording with people in it, or somebody who
# looks and ends it. Said where it stands.
NEEDS = {'robot', 'network', 'training', 'people', 'looking'}
# In the order of the first hour: later pages use what it makes.
PAGES = [
    'first-hour.md', *sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob('*.md') if p.name != 'first-hour.md'),
    '../README.md',
]


def blocks(page):
    """Yield need ('' for none) and commands of each block of a page."""
    for match in BLOCK.finditer((DOCS / page).read_text()):
        need = match['words'].strip().removeprefix('needs=')
        yield need, [line for line in match['body'].splitlines() if line.strip()]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with what the first hour begins with; what one page makes, later ones use."""
    return write_two_videos(tmp_path_factory.mktemp('docs'), 'calibration.toml')


@pytest.mark.parametrize('page', PAGES)
def test_every_command_runs_or_says_what_it_needs(page, folder, tmp_path, monkeypatch, capsys):
    # The README begins from nothing.
    monkeypatch.chdir(write_two_videos(tmp_path, 'calibration.toml') if page == PAGES[-1] else folder)
    for need, commands in blocks(page):
        assert need == '' or need in NEEDS, f'{page}: {need}'
        for command in commands if not need else ():
            program, *words = shlex.split(command)
            assert program == 'geo_pose', f'{page}: {command}'
            if words[0] == 'view' and find_spec('viser') is None:
                # A robot has no viewer; the command says so.
                assert cli.main(words) == 2
                assert 'viser' in capsys.readouterr().err
                continue
            # doctor says 1 for a machine that could be better, process where nobody is seen, as in these grey images.
            assert cli.main(words) <= (words[0] in ('doctor', 'process')), f'{page}: {command}'


@pytest.mark.parametrize('page', PAGES)
def test_commands_that_cannot_run_here_exist_and_take_their_flags(page, capsys, monkeypatch):
    # The files that they name are not here.
    monkeypatch.setattr(Path, 'exists', lambda path: True)
    monkeypatch.setattr('glob.glob', lambda pattern: [pattern])
    for need, commands in blocks(page):
        for command in commands if need else ():
            program, *words = shlex.split(command, comments=True)
            if program != 'geo_pose':
                continue
            assert words[0] in cli.COMMANDS, f'{page}: {command}'
            # Modules of the live commands want rclpy, and the node's own parser takes what ROS's does; training's want
            # torch, which a robot has not.
            if need != 'robot' and (need != 'training' or find_spec('torch') is not None):
                cli.parser_for(words).parse_args(words)


def test_every_shell_block_of_the_readme_is_tested_and_there_is_something_to_run():
    assert sum(len(commands) for page in PAGES for need, commands in blocks(page) if not need) >= 10
    text = (ROOT / 'README.md').read_text()
    assert len(re.findall(r'^```(?!sh[ \n])\S*\n', text, re.MULTILINE)) == text.count('```') // 2


@pytest.fixture(scope='module')
def reference():
    return load_module(ROOT / 'tools' / 'reference.py')


@pytest.mark.slow
def test_the_reference_has_every_parameter_command_and_public_name(reference):
    import geo_pose_ros

    parameters, commands, python = reference.parameters(), reference.commands(), reference.python()
    plain = re.sub('<[^>]*>', '', parameters)
    assert all(f'\n| {s.name} | ' in plain for s in walk(NodeConfig))
    assert all(f'## geo_pose {name}\n' in commands for name in cli.COMMANDS)
    assert '--help-settings' in commands and '--export' in commands
    assert all(f'## {name}\n' in python for name in geo_pose_ros.__all__)
    assert 'Default: `0.0`; ms, 0 .. 1000. |' in plain and 'Default: empty. |' in plain
    assert '### `PosePipeline.fuse`\n\n```python\nfuse(\n    stamp_ns: int,\n' in python
    assert '**Attributes**\n\n- `name`: unique in its rig; also the topic prefix.\n' in python


@pytest.mark.slow
def test_every_public_name_has_an_example_that_runs(reference, tmp_path, monkeypatch, capsys):
    import geo_pose_ros

    rig = write_walk(tmp_path / 'walk', sets=120)
    write_calibration(tmp_path / 'rig.yaml', rig)
    write_calibration(tmp_path / 'calibration.toml', rig)
    monkeypatch.chdir(tmp_path)
    shown, made = reference.examples(), {}
    for example in shown.values():
        exec(example, made)
    assert set(shown) - {''} == set(geo_pose_ros.__all__)
    assert len(made['better']) == len(rig) and made['bones'][-1] == ('right_elbow', 'right_wrist')
    assert "'no_such_file.yaml' cannot be read" in capsys.readouterr().out


def test_the_page_of_benchmarks_has_every_result_and_the_command_that_prints_it(reference, tmp_path, monkeypatch):
    page = reference.benchmarks()
    for path in (DOCS / 'benchmarks').glob('*.json'):
        assert f'(benchmarks/{path.name})' in page
        command = json.loads(path.read_text()).get('command') or reference.COMMANDS[path.stem]
        section = page[page.index(f'## {path.stem}\n'):].split('\n## ')[0]
        assert f'\n- command: {command}\n' in section
        assert section.count('<svg') == len(reference.CHARTS.get(path.stem, ()))
    tree = {'command': 'make it', 'a': {'b': 1.23456, 'c': [None, 'x']}, **{f'n{i}': i for i in range(40)}}
    (tmp_path / 'own.json').write_text(json.dumps(tree))
    monkeypatch.setattr(reference, 'RESULTS', tmp_path)
    page = reference.benchmarks()
    assert '    | a, b | 1.235 |\n    | a, c, 0 | - |\n    | a, c, 1 | x |\n    | n0 | 0 |' in page
    assert '| n36 | 36 |' in page and '| n37 |' not in page and '3 numbers more' in page


def test_a_chart_has_one_bar_per_number_as_long_as_it_says():
    from tools import charts

    shown = charts.Bars('Error, mm', ('of',), {'a.m': 'ours', 'b': 'theirs'}, 'cam*', scale=1e3)
    drawn = charts.draw(shown, {'of': {'cam<1>': {'a': {'m': 0.01}, 'b': 0.02}, 'other': {}}})
    assert re.findall(r'width="([\d.]+)%" height="13"', drawn) == ['27.50', '55.00']
    assert '>10 ours<' in drawn and '>20 theirs<' in drawn and '>cam&lt;1&gt;<' in drawn and 'other' not in drawn


def test_the_table_of_topics_has_what_the_node_publishes():
    outputs = (ROOT / 'geo_pose_ros' / 'ros' / 'nodes' / 'outputs.py').read_text()
    table = (DOCS / 'reference' / 'topics.md').read_text()
    published = set(re.findall(r"f?'(~/[^']+)'", outputs))
    assert len(published) >= 5
    for topic in published:
        assert f'`{re.sub("{name}|{camera}", "<camera>", topic)}`' in table


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    text = re.sub(r'```.*?```', '', (DOCS / page).read_text(), flags=re.DOTALL)
    generated = {'parameters.md', 'commands.md', 'python.md', 'benchmarks.md'}
    for target in re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', text):
        if not target.startswith('http'):
            there = (DOCS / page).parent / target
            assert there.exists() or there.name in generated, f'{page}: {target}'


def test_images_are_small():
    assert 0 < (DOCS / 'media' / 'demo.webp').stat().st_size <= 1_500_000
    assert all(path.stat().st_size < 100_000 for path in (DOCS / 'media').glob('*.svg'))


def test_from_clone_to_the_browser_in_six_commands():
    from benchmarks.live.user_path import readme_commands, script

    commands = readme_commands()
    assert len(commands) <= 6 and commands[0].startswith('git clone') and commands[-1].startswith('geo_pose view')
    lines = script(commands, Path('/videos'), 8123).splitlines()
    # A time before the first command and after each but the last, which serves; one that fails ends the way.
    assert lines[:-1:2] == ['date +@%s.%N'] * len(commands)
    assert all(line.endswith('|| exit 1') for line in lines[1:-1] if not line.startswith('date'))
    assert lines[-1] == f'exec {commands[-1]} --port 8123'
