# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The compiler's cache and its refusals, each in a process of its own, as installations meet it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import pytest

from geo_pose_ros.compiled import Float1D, Float2D, signature_of
from geo_pose_ros.errors import BackendError

KERNELS = '''
from __future__ import annotations
from geo_pose_ros.compiled import Float1D, kernel
from shared import scale, OFFSET

@kernel('out')
def scaled(x: Float1D, out: Float1D) -> None:
    for i in range(len(x)):
        out[i] = scale(x[i]) + OFFSET
'''
SHARED = '''
from __future__ import annotations
from geo_pose_ros.compiled import helper
OFFSET = {offset}

@helper
def scale(x: float) -> float:
    return {factor} * x
'''
RUN = '''
import sys; sys.path.insert(0, '.')
import numpy as np
from pathlib import Path
from geo_pose_ros import compiled
compiled._INSTALLED = Path('installed')
from geo_pose_ros.compiled import prepare
import kernels
print('compiled', prepare(print))
x, out = np.arange(3.0), np.zeros(3)
x.setflags(write=False)
kernels.scaled(x, out)
print(out.tolist())
'''


@pytest.fixture
def run(tmp_path):
    """Run code beside two modules of kernels, with the cache in ``tmp_path``; return what it prints."""
    def in_process(code: str = RUN, factor: float = 2.0, offset: float = 0.0, **environment: str) -> str:
        for name, text in (('kernels', KERNELS), ('shared', SHARED.format(factor=factor, offset=offset))):
            file = tmp_path / f'{name}.py'
            # Numba of Humble compiles anew what was written again.
            if not file.exists() or file.read_text() != text:
                file.write_text(text)
        given = {
            'NUMBA_DISABLE_JIT': '0', 'NUMBA_CACHE_DIR': str(tmp_path / 'cache'),
            'PYTHONPATH': str(Path(__file__).parents[2]),
        }
        done = subprocess.run(
            [sys.executable, '-c', code], cwd=tmp_path, env={**os.environ, **given, **environment}, text=True,
            capture_output=True, check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return in_process


def test_the_second_process_compiles_nothing(run, tmp_path):
    first = run()
    assert first.splitlines()[0].startswith('Compiling the fusion for this machine, once')
    assert str(tmp_path / 'cache') in first
    assert first.splitlines()[1:] == ['compiled True', '[0.0, 2.0, 4.0]']
    assert run() == 'compiled False\n[0.0, 2.0, 4.0]\n'


@pytest.mark.parametrize(('changed', 'result'), [
    ({'factor': 3.0}, '[0.0, 3.0, 6.0]'), ({'offset': 1.0}, '[1.0, 3.0, 5.0]'),
], ids=['helper', 'constant'])
def test_a_change_in_another_file_compiles_anew(run, changed, result):
    run()
    assert run(**changed).splitlines()[-2:] == ['compiled True', result]


@pytest.mark.parametrize('kind', ['nbi', 'nbc'], ids=['index', 'code'])
def test_a_cache_that_was_cut_off_is_made_anew(run, tmp_path, kind):
    run()
    for file in (tmp_path / 'cache').rglob(f'*.{kind}'):
        file.write_bytes(file.read_bytes()[:40])
    assert run().splitlines()[0].startswith('Compiling the fusion anew: what is kept in')
    assert run() == 'compiled False\n[0.0, 2.0, 4.0]\n'


def test_what_the_other_processes_cannot_compile_is_compiled_here(run):
    code = RUN.replace('from geo_pose_ros.compiled import prepare', '''
import subprocess
subprocess.Popen = lambda *_, **__: (_ for _ in ()).throw(OSError('no process'))
from geo_pose_ros.compiled import prepare''')
    assert run(code).splitlines()[1:] == ['compiled True', '[0.0, 2.0, 4.0]']


def test_without_the_compiler_it_runs_as_python(run):
    assert run(NUMBA_DISABLE_JIT='1') == 'compiled False\n[0.0, 2.0, 4.0]\n'


def test_folders_that_cannot_be_written_are_passed_over(run, tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'installed').write_text('')
    out = run(NUMBA_CACHE_DIR=str(tmp_path / 'file'), XDG_CACHE_HOME=str(tmp_path / 'home'))
    assert f'It is kept in {tmp_path}/home/geo_pose_ros/kernels' in out
    assert out.splitlines()[-1] == '[0.0, 2.0, 4.0]'


def test_what_an_installation_compiled_is_found_by_others(run):
    run(NUMBA_CACHE_DIR='')
    assert run() == 'compiled False\n[0.0, 2.0, 4.0]\n'


def test_another_layout_is_refused_and_not_compiled(run):
    code = RUN + '''
try:
    kernels.scaled(np.arange(6.0)[::2], out)
except TypeError as error:
    print(str(error).splitlines()[0][:22])
'''
    assert run(code).splitlines()[-1] == 'No matching definition'


def test_a_call_before_it_is_prepared_changes_nothing(run):
    code = RUN.replace("print('compiled', prepare(print))", '''
kernels.scaled(np.arange(3.0), np.zeros(3))
print('compiled', prepare(print))''').replace('print(out.tolist())', '''
kernels.scaled(np.arange(3.0), out)
print(out.tolist(), len(kernels.scaled.overloads))''')
    run(code)
    assert run(code) == 'compiled False\n[0.0, 2.0, 4.0] 1\n'


def test_without_numba_the_remedy_is_named(run):
    code = '''
import sys
sys.modules['numba'] = None
try:
    import geo_pose_ros.compiled
except Exception as error:
    print(type(error).__name__, error)
'''
    out = run(code)
    assert out.startswith('BackendError numba cannot be imported')
    assert 'sudo apt-get install -y python3-numba' in out


class Pair(NamedTuple):
    left: Float2D
    right: Float1D


class Twins(NamedTuple):
    one: Float1D
    other: Float1D


def test_annotations_are_the_signature():
    def function(pair: Pair, x: Float2D, n: int, out: Float1D, twins: Twins) -> float:
        return 0.0

    types = signature_of(function, ('out',))
    assert types[4] == numba.typeof(Twins(np.zeros(1), np.zeros(1)))
    assert types[0].instance_class is Pair
    assert [(kind.ndim, kind.layout, kind.mutable) for kind in (*types[0].types, types[1], types[3])] == [
        (2, 'C', True), (1, 'C', True), (2, 'C', False), (1, 'C', True),
    ]
    assert str(types[2]) == 'int64'


def test_an_annotation_that_numba_does_not_know_is_refused():
    def function(x: np.ndarray) -> None: ...

    with pytest.raises(BackendError, match=r'function\(x\): received the type .*ndarray.*; expected float, int, bool'):
        signature_of(function)
