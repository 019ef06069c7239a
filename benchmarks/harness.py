# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What every benchmark needs: one thread, commit and machine, tables, results in the docs, environments of peers."""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import urllib.request
import venv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
# Relative: every benchmark is started from the root of the repository.
OUT, RESULTS, CACHE = Path('out/bench'), Path('docs/benchmarks'), Path('.cache')
SHARED_DATA = Path('../shared/data')
_ONE_THREAD = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'}

Rows = Mapping[str, Mapping[str, Any]]


def use_one_thread() -> None:
    """Start this program again with one thread for numpy and the networks, unless the environment says how many.

    Numpy reads the variables when it is loaded, so that setting them now would be too late.
    """
    if 'OMP_NUM_THREADS' not in os.environ:
        os.environ.update(_ONE_THREAD)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is the module's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


# Where a number comes from.


def commit() -> str:
    """Return the commit of the working tree, marked ``-dirty`` if the package differs from it."""
    def git(*words: str) -> str:
        return subprocess.run(['git', *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git('rev-parse', '--short', 'HEAD') + ('-dirty' if git('status', '--porcelain', 'geo_pose_ros') else '')


def machine() -> str:
    """Return the processor, its number of cores and the system."""
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    return f'{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {platform.system()}'


def provenance(command: str) -> dict[str, Any]:
    """Return what a result must say of its origin: command, commit, machine, date, versions, load of the machine."""
    return {
        'command': command, 'commit': commit(), 'machine': machine(),
        'date': datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        'versions': {'python': platform.python_version(), 'numpy': np.__version__},
        'load_average': round(os.getloadavg()[0], 1),
    }


# Measuring.


def percentiles_ms(spent_ms: Iterable[float]) -> dict[str, float]:
    """Return p50 and p99."""
    values = np.fromiter(spent_ms, float)
    return {'p50': round(float(np.percentile(values, 50)), 3), 'p99': round(float(np.percentile(values, 99)), 3)}


def time_ms(call: Callable[[], object], seconds: float = 1.5) -> dict[str, float]:
    """Return p50 and p99 of ``call`` in ms, after a warm-up, the garbage collector off."""
    for _ in range(5):
        call()
    spent: list[float] = []
    gc.disable()
    until = perf_counter() + seconds
    while perf_counter() < until or len(spent) < 50:
        began = perf_counter()
        call()
        spent.append((perf_counter() - began) * 1e3)
    gc.enable()
    return percentiles_ms(spent)


def resident_mb(pid: int | str = 'self', *, most: bool = False) -> float:
    """Return the memory that a process has now, or the most that it has had, MB (Linux: read from /proc)."""
    status = Path(f'/proc/{pid}/status').read_text(encoding='ascii')
    line = next(line for line in status.splitlines() if line.startswith('VmHWM' if most else 'VmRSS'))
    return float(line.split()[1]) / 1024.0


# Pages that are served.


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Return whether somebody serves a page there."""
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}', timeout=1.0) as response:
            return bool(response.status == 200)
    except OSError:
        return False


# Results.


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


def replace_section(document: Path, lines: Iterable[str]) -> None:
    """Replace a document from its heading ``## Results`` on, so that no number there is typed by hand."""
    text = document.read_text(encoding='utf-8').split('## Results')[0].rstrip('\n')
    document.write_text('\n'.join([text, '', '## Results', '', *lines]).rstrip('\n') + '\n', encoding='utf-8')


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a Markdown table, '-' where there is no value."""
    lines = ['| ' + ' | '.join(header) + ' |', '|---' * len(header) + '|']
    return lines + ['| ' + ' | '.join('-' if cell is None else str(cell) for cell in row) + ' |' for row in rows] + ['']


def named_table(rows: Rows, columns: Mapping[str, str]) -> list[str]:
    """Return the Markdown table of named rows; ``columns``: key to heading."""
    return markdown_table(
        ['', *columns.values()], [[name, *(row.get(key) for key in columns)] for name, row in rows.items()]
    )


def asked_table(asked: Iterable[tuple[str, Sequence[str], float, bool]], result: Mapping[str, Any]) -> list[str]:
    """Return the Markdown table of targets: words, path of the value in ``result``, limit, whether at least it.

    A target whose value is missing is left out.
    """
    rows = []
    for words, path, limit, at_least in asked:
        value: Any = result
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            reached = value >= limit if at_least else value <= limit
            rows.append((f'{words} {">=" if at_least else "<="} {limit:g}', value, 'yes' if reached else '**no**'))
    return markdown_table(('asked', 'reached', ''), rows)


def show(title: str, rows: Rows) -> None:
    """Print named rows of numbers as a table."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    print(f'\n{title}')
    width = max(map(len, rows)) + 2
    print(' ' * width + ''.join(f'{c:>{max(len(c), 8) + 2}}' for c in columns))
    for name, row in rows.items():
        cells = (f'{"-" if row.get(c) is None else row[c]!s:>{max(len(c), 8) + 2}}' for c in columns)
        print(f'{name:<{width}}' + ''.join(cells), flush=True)


# Peers.


def peer_python(name: str, installs: Sequence[Sequence[str]]) -> Path:
    """Return the interpreter of an environment of a peer's own, made at the first call.

    Args:
        name: of the environment.
        installs: arguments of each `pip install`, in order.
    """
    folder = CACHE / name
    python, ready = folder / 'bin' / 'python', folder / 'ready'
    if not ready.is_file():
        print(f'installing {name} into an environment of its own ...', flush=True)
        venv.create(folder, with_pip=True, clear=True)
        for words in installs:
            subprocess.run(
                [str(python), '-m', 'pip', '--disable-pip-version-check', 'install', '--quiet', *words], check=True
            )
        ready.touch()
    return python


def run_peer(python: Path, words: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Run ``benchmarks/peers.py WORDS INPUT OUTPUT`` by a peer's interpreter; return the arrays it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / 'in.npz', Path(folder) / 'out.npz'
        np.savez(source, **given)
        command = [str(python), str(Path(__file__).with_name('peers.py')), *words, str(source), str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return dict(np.load(out))
