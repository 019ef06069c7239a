# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose`: exit status, one line per error, and nothing imported that the command does not need."""

import os
import re
import subprocess
import sys
import textwrap
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import geo_pose_ros
from geo_pose_ros import cli
from geo_pose_ros.bags.process import ProcessSummary
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.errors import ConfigError, GeoPoseError
from geo_pose_ros.rigs.files import read_calibration

from ..videos import write_two_videos


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder, which is the current one, with two videos and their calibration."""
    monkeypatch.chdir(tmp_path)
    return write_two_videos(tmp_path, 'rig.yaml')


IMPORT = ['import', '--videos', 'cam0.mp4', 'cam1.mp4', '--calibration', 'rig.yaml', '--out', 'bag']


def test_import_info_and_overwrite(files, capsys):
    os.utime('cam0.mp4', (100.5, 100.5))
    assert cli.main([*IMPORT, '--fps', '10']) == 0
    assert capsys.readouterr().out == 'bag: 2 cameras; frames: cam0 3, cam1 3\n'
    with BagReader(files / 'bag') as reader:
        assert (reader.start_ns, reader.end_ns) == (100_500_000_000, 100_700_000_000)

    assert cli.main(['info', 'bag']) == 0
    out = capsys.readouterr().out
    assert '  cam0: 3 images at 10.0/s, about 0 dropped; 64x48 px, plumb_bob' in out
    assert out.endswith('geo_pose process: yes\ngeo_pose retrain: yes\n')

    assert cli.main(IMPORT) == 2
    error = capsys.readouterr().err
    assert error == "geo_pose: 'bag' exists already. Choose another path, or give --overwrite to replace it.\n"
    assert cli.main([*IMPORT, '--overwrite', '--storage', 'sqlite3']) == 0
    assert (files / 'bag' / 'bag.db3').exists()


def test_rig_convert(files, capsys):
    assert cli.main(['rig', 'convert', 'rig.yaml', 'rig.qca.txt']) == 0
    assert capsys.readouterr().out == 'rig.qca.txt: 2 cameras: cam0, cam1; read as a rig file\n'
    assert cli.main(['rig', 'convert', 'rig.qca.txt', 'rig.toml']) == 0
    assert cli.main(['rig', 'convert', '--unit', 'mm', 'rig.toml', 'small.yaml']) == 0
    want, have = read_calibration(files / 'rig.yaml'), read_calibration(files / 'small.yaml')
    for name in want.names:
        np.testing.assert_allclose(have[name].position_m, want[name].position_m / 1000, atol=1e-12)
    assert cli.main(['rig', 'convert', 'rig.toml', 'small.yaml']) == 2
    assert "'small.yaml' exists already" in capsys.readouterr().err


def test_process_passes_settings(files, monkeypatch, capsys):
    from geo_pose_ros.commands import process

    calls, done = [], ProcessSummary(sets=3)
    monkeypatch.setattr(process, 'process_bag', lambda *args, **options: calls.append((args, options)) or done)
    (files / 'bag').mkdir()
    words = ['process', 'bag', '--out', 'out', '--rig', 'rig.yaml', '--cameras', 'cam1', '--set', 'sync.tolerance_ms=3',
             '--set', 'pipeline.detector.max_side_px=640', '--overwrite', '--world-frame', 'map']
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert 'accurate (a bag waits for it)' in said
    assert '\nout: good: no set; 3 sets (0 with every camera)' in said
    [(paths, options)] = calls
    assert [str(path) for path in paths] == ['bag', 'out']
    config = options['config']
    assert (config.sync.tolerance_ms, config.pipeline.detector.max_side_px) == (3.0, 640)
    assert (config.cameras, config.world_frame) == (('cam1',), 'map')
    assert options['rig'].names == ('cam0', 'cam1') and (options['overwrite'], options['storage']) == (True, 'mcap')


def test_debug_shows_where_an_error_came_from(files):
    for words in (['--debug', 'info', 'nowhere'], ['info', 'nowhere', '--debug']):
        with pytest.raises(GeoPoseError, match='There is no file'):
            cli.main(words)


def with_command(monkeypatch, run):
    """Make `geo_pose info` run ``run``."""
    module = ModuleType('fake')
    module.add_arguments, module.run = (lambda _: None), run
    monkeypatch.setattr(cli, 'import_module', lambda _: module)


def test_the_status_of_the_command_is_passed_on_and_an_interruption_is_one(monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    with_command(monkeypatch, lambda _: 7)
    assert cli.main(['info']) == 7
    with_command(monkeypatch, interrupt)
    assert cli.main(['info']) == 130
    assert capsys.readouterr().err == 'geo_pose: interrupted\n'
    with pytest.raises(KeyboardInterrupt):
        cli.main(['info', '--debug'])


# What people type -> what the one line of the answer holds; the files of ``files`` are there, and a folder `other`.
MISTAKES = {
    'no command': ('', 'COMMAND must be given; geo_pose --help'),
    'command with a typo': ('proces rig.yaml', "no command 'proces'. Did you mean 'process'?"),
    'no arguments': ('process', 'BAG, --out must be given; example: geo_pose process walk --out bodies'),
    'flag with a typo': ('process rig.yaml --ouy out', "no flag --ouy. Did you mean '--out'?"),
    'flag of another program': ('info rig.yaml --verbose', 'no flag --verbose. geo_pose info --help lists them.'),
    'flag that became a setting': (
        'process rig.yaml --out out --pipeline.lifter.model m.onnx', 'give --set pipeline.lifter.model=VALUE'
    ),
    'flag that turned a setting off': (
        'process rig.yaml --out out --no-pipeline.lifter.enabled', 'give --set pipeline.lifter.enabled=false'
    ),
    'setting with a typo': (
        'process rig.yaml --out out --set pipeline.liftr.model=m', "Did you mean 'pipeline.lifter.model'?"
    ),
    'setting without a value': ('report rig.yaml --set up', '--set up: expected NAME=VALUE'),
    'setting out of bounds': ('report rig.yaml --set bins=1', "'bins': received 1, expected 2 .. 10000"),
    'no such file': ('process rig.yml --out out', "no file or folder 'rig.yml'. Did you mean 'rig.yaml'?"),
    'no such pattern': ('process nope/* --out out', "No file or folder matches 'nope/*'."),
    'no such video, and no calibration': (
        'import --videos nope --calibration no.yaml --out b', "no file or folder 'nope'"
    ),
    'file that is there': ('rig convert rig.yaml cam0.mp4', "'cam0.mp4' exists already. Choose another path"),
    'report that is there': ('report rig.yaml --out rig.yaml', "'rig.yaml' exists already. Choose another path"),
    'page that is there': ('view cam0.mp4 --export rig.yaml', "'rig.yaml' exists already. Choose another path"),
    'folder of somebody else': ('calibrate cam0.mp4 --out r.yaml --report other', "'other' holds something else"),
    'wrong unit': ('rig convert rig.yaml r.toml --unit km', "invalid choice: 'km'"),
    'no number': ('import --videos cam0.mp4 --out b --fps fast', "invalid float value: 'fast'"),
    'impossible number': (f'{" ".join(IMPORT)} --fps -1', '--fps: received -1.0, expected more than 0'),
    'impossible setting': (
        'process rig.yaml --out out --set sync.tolerance_ms=-3', "'sync.tolerance_ms': received -3.0, expected"
    ),
    'setting of an old name': (
        'report rig.yaml --set stranger_ratio=0.5', "'stranger_ratio' is called 'unmatched_ratio' now"
    ),
    'page of what is live': ('view --live --export x.html', '--export takes bags'),
    'value forgotten': ('process rig.yaml --out', 'argument --out: expected one argument'),
    'two things at once': ('view cam0.mp4 --live', 'geo_pose view takes bags, or --live; received both'),
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_a_mistake_is_answered_by_one_line_that_says_what_to_do(mistake, files, capsys):
    words, said = MISTAKES[mistake]
    (files / 'other').mkdir()
    (files / 'other' / 'calibration.json').write_text('{}')
    try:
        status = cli.main(words.split())
    except SystemExit as stop:
        status = stop.code
    error = capsys.readouterr().err
    assert (status, error.count('\n')) == (2, 1), error
    assert said in error


NEEDS_TORCH = {name for name, (module, _) in cli.COMMANDS.items() if module.startswith('geo_pose_training')}


@pytest.mark.parametrize('command', sorted(set(cli.COMMANDS) - {'node'}))
def test_help_is_30_lines_with_examples_that_parse(command, capsys, monkeypatch):
    if command in NEEDS_TORCH:
        pytest.importorskip('torch')
    if cli.COMMANDS[command][0].startswith('geo_pose_ros.commands.live'):
        pytest.importorskip('rclpy')
    monkeypatch.setenv('COLUMNS', '80')
    with pytest.raises(SystemExit, match='0'):
        cli.main([command, '--help'])
    lines = capsys.readouterr().out.splitlines()
    examples = lines[lines.index('examples:') + 1 :]
    assert len(lines) <= 30 and 1 <= len(examples) <= 3
    assert all(line.split('geo_pose ')[1].startswith(command) for line in examples)


def test_settings_are_listed_and_explained(capsys):
    for words, expected in ((['--help-settings'], '\nsync.tolerance_ms='), (['--help-settings', 'up'], '\n    ')):
        with pytest.raises(SystemExit, match='0'):
            cli.main(['process', *words])
        assert expected in capsys.readouterr().out
    with pytest.raises(ConfigError, match="No setting holds 'upp'"):
        cli.main(['--debug', 'process', '--help-settings', 'upp'])


def test_the_script_of_completion_completes(tmp_path, capsys):
    assert cli.main(['completion', 'bash']) == 0
    script = capsys.readouterr().out
    for line, last in (('geo_pose proc', 'process'), ('geo_pose report --str', '--strict'),
                       ('geo_pose report --set left', 'left_out_sets')):
        words = line.split()
        asked = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _geo_pose; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(['bash', '-c', asked], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [last]
    assert cli.main(['completion', 'zsh']) == 0
    assert 'bashcompinit' in capsys.readouterr().out


def test_node_gets_the_ros_arguments(monkeypatch):
    received = []

    def node(name):
        return SimpleNamespace(main=lambda argv: received.append((name, argv)))

    monkeypatch.setattr(cli, 'import_module', node)
    assert cli.main(['node', '--ros-args', '-p', 'rig:=rig.yaml']) == 0
    name = 'geo_pose_ros.ros.nodes.pose_node'
    assert received == [(name, [name, '--ros-args', '-p', 'rig:=rig.yaml'])]


def run_blocked(blocked, words):
    """Run the program where importing ``blocked`` fails; also print which modules were imported."""
    code = f"""
        import importlib.abc, sys
        class Block(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.split('.')[0] in {blocked!r}:
                    raise ModuleNotFoundError('blocked', name=name)
        sys.meta_path.insert(0, Block())
        from geo_pose_ros.cli import main
        try:
            status = main({words!r})
        except SystemExit as stop:
            status = stop.code
        print('IMPORTED', *sorted(set(name.split('.')[0] for name in sys.modules)))
        sys.exit(status)
    """
    return subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, check=False)


def test_help_lists_every_command_and_imports_nothing_heavy():
    done = run_blocked([], ['--help'])
    assert done.returncode == 0
    assert all(re.search(rf'^    {command}\s', done.stdout, re.MULTILINE) for command in cli.COMMANDS)
    imported = set(done.stdout.rsplit('IMPORTED', 1)[1].split())
    assert not imported & {'numpy', 'cv2', 'rosbags', 'rclpy', 'torch', 'rtmlib', 'geo_pose_training'}


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match='0'):
        cli.main(['--version'])
    assert capsys.readouterr().out == f'geo_pose {geo_pose_ros.__version__}\n'


@pytest.mark.parametrize(
    ('command', 'missing', 'remedy'),
    [
        ('train', 'torch', 'Install PyTorch: python3 -m pip install torch'),
        ('retrain', 'geo_pose_training', 'Install geo_pose_ros from its source tree'),
        ('play', 'rclpy', 'Source ROS 2 (. /opt/ros/$ROS_DISTRO/setup.sh), or install its wheels'),
        ('info', 'rosbags', 'Install it: python3 -m pip install rosbags'),
        ('process', 'cv2', 'Install it: python3 -m pip install opencv-python-headless'),
    ],
)
def test_a_missing_package_is_one_clear_line(command, missing, remedy):
    if missing == 'torch':
        pytest.importorskip('geo_pose_training')
    done = run_blocked([missing], [command])
    assert done.returncode == 2
    assert done.stderr.startswith(f"geo_pose: This needs the Python package '{missing}', which is not installed. ")
    assert remedy in done.stderr
    assert done.stderr.count('\n') == 1


def test_a_broken_module_of_our_own_is_not_hidden(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, 'info', ('geo_pose_ros.no_such_module', ''))
    with pytest.raises(ModuleNotFoundError, match='no_such_module'):
        cli.main(['info', 'bag'])


def test_blas_gets_one_thread_before_numpy_loads_unless_the_user_chose():
    code = "import os, sys, geo_pose_ros.cli; print('numpy' in sys.modules, os.environ['OPENBLAS_NUM_THREADS'])"
    unset = {name: value for name, value in os.environ.items() if name != 'OPENBLAS_NUM_THREADS'}
    for chosen, threads in (({}, '1'), ({'OPENBLAS_NUM_THREADS': '3'}, '3')):
        done = subprocess.run(
            [sys.executable, '-c', code], env=unset | chosen, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ['False', threads]


def test_a_pipe_that_is_closed_is_no_traceback(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, '-m', 'geo_pose_ros.cli', 'check'], stdout=writer, stderr=subprocess.PIPE, text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, '')
