# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Checks of this machine: processor, memory, sockets, shared memory, clock, GPU, middleware.

Every check takes what it looks at, so that a test can show it something else.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from ..findings import Finding, Severity

# The least of each: four images of 1080 x 1920, uncompressed, once; what a burst of images needs; detectors; a minute.
_SHM_BYTES, _SOCKET_BYTES, _MEMORY_BYTES, _DISK_BYTES = 64 * 2**20, 4 * 2**20, 2 * 2**30, 5 * 2**30
# glibc's adjtimex: the clock is not synchronised.
_TIME_ERROR = 5


def _at_least(found: float, least: float, words: str, problem: str, remedy: str) -> Finding:
    """Return that all is well with ``words`` where enough was found, otherwise the problem and its remedy."""
    if found >= least:
        return Finding(Severity.OK, words)
    return Finding(Severity.WARNING, f'{words}; {problem}', remedy)


def check_processor(cores: int, threads: str) -> Iterator[Finding]:
    """Check the number of cores, and that BLAS does not take them from the detectors."""
    yield _at_least(cores, 2, f'{cores} processor cores', 'four cameras want at least two',
                    'Lower pipeline.detector.max_side_px, or run fewer cameras.')
    if threads.isdigit() and int(threads) > 1:
        yield Finding(Severity.WARNING, f'OPENBLAS_NUM_THREADS={threads}: its threads take cores from the detectors',
                      'unset OPENBLAS_NUM_THREADS')


def check_memory(meminfo: str) -> Iterator[Finding]:
    """Check the free memory, from /proc/meminfo."""
    for line in meminfo.splitlines():
        if line.startswith('MemAvailable:'):
            free = int(line.split()[1]) * 1024
            yield _at_least(free, _MEMORY_BYTES, f'{free / 2**30:.1f} GiB of memory free',
                            'detectors of four cameras take about 1 GiB', 'Close other programs.')


def check_disk(free_bytes: int, path: Path) -> Iterator[Finding]:
    """Check room for recordings."""
    yield _at_least(free_bytes, _DISK_BYTES, f'{free_bytes / 2**30:.0f} GiB free at {path}',
                    'four cameras fill about 1 GiB a minute', 'Record elsewhere.')


def check_sockets(largest_bytes: int) -> Iterator[Finding]:
    """Check the largest receive buffer a socket may have: images over the network come in bursts."""
    yield _at_least(largest_bytes, _SOCKET_BYTES, f'sockets may buffer {largest_bytes / 2**20:.1f} MiB',
                    'images from other machines come in larger bursts and are lost',
                    'sudo sysctl -w net.core.rmem_max=8388608   (and in /etc/sysctl.d to keep it)')


def check_shared_memory(free_bytes: int) -> Iterator[Finding]:
    """Check /dev/shm, through which images go within a machine."""
    yield _at_least(free_bytes, _SHM_BYTES, f'{free_bytes / 2**20:.0f} MiB of shared memory free',
                    f'Fast DDS wants {_SHM_BYTES // 2**20} MiB for images',
                    'In a container: docker run --shm-size=1g. Otherwise remove stale files: fastdds shm clean')


def check_clock(state: int | None) -> Iterator[Finding]:
    """Check that the clock is synchronised, by the state that adjtimex returned; None: unknown."""
    if state is None:
        yield Finding(Severity.OK, 'whether the clock is synchronised is not known here')
    elif state == _TIME_ERROR:
        yield Finding(
            Severity.WARNING, 'the clock is not synchronised',
            'With cameras on several machines: install chrony (or linuxptp, for cameras with PTP). On one machine it '
            'does not matter.',
        )
    else:
        yield Finding(Severity.OK, 'the clock is synchronised')


def clock_state() -> int | None:
    """Return what adjtimex returns; None where there is none or it may not be asked."""
    try:
        # struct timex with modes = 0: only read.
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else int(state)


def check_gpu(has_device: bool, is_there: Callable[[str], bool], providers: tuple[str, ...]) -> Iterator[Finding]:
    """Check whether a GPU is there and used."""
    if not has_device:
        yield Finding(Severity.OK, 'no NVIDIA GPU; the processor does it all')
        return
    if is_there('tensorrt'):
        yield Finding(Severity.OK, 'NVIDIA GPU with TensorRT')
    elif 'CUDAExecutionProvider' in providers:
        yield Finding(Severity.OK, 'NVIDIA GPU with onnxruntime-gpu')
    else:
        yield Finding(Severity.WARNING, 'there is an NVIDIA GPU, but neither tensorrt nor onnxruntime-gpu',
                        'python3 -m pip install tensorrt, then pipeline.detector.engine.engine:=tensorrt')


def check_middleware(environment: Mapping[str, str], exists: Callable[[str], bool]) -> Iterator[Finding]:
    """Check the variables that decide how ROS nodes talk."""
    rmw = environment.get('RMW_IMPLEMENTATION', '')
    domain = environment.get('ROS_DOMAIN_ID', '0')
    reach = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE') or (
        'LOCALHOST' if environment.get('ROS_LOCALHOST_ONLY') == '1' else 'SUBNET')
    yield Finding(Severity.OK, f'middleware {rmw or "of the distribution"}, domain {domain}, discovery {reach}')
    if not domain.isdigit() or not 0 <= int(domain) <= 101:
        yield Finding(Severity.ERROR, f'ROS_DOMAIN_ID is {domain!r}, expected 0 .. 101', 'export ROS_DOMAIN_ID=0')
    for variable in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE', 'CYCLONEDDS_URI'):
        path = environment.get(variable, '').removeprefix('file://')
        if path and not path.lstrip().startswith('<') and not exists(path):
            yield Finding(Severity.ERROR, f'{variable} names {path}, which does not exist', f'unset {variable}')


def check_machine() -> Iterator[Finding]:
    """Run all checks of this machine."""
    yield from check_processor(os.cpu_count() or 1, os.environ.get('OPENBLAS_NUM_THREADS', ''))
    yield from check_memory(_read('/proc/meminfo'))
    yield from check_disk(shutil.disk_usage(Path.cwd()).free, Path.cwd())
    largest = _read('/proc/sys/net/core/rmem_max').strip()
    if largest.isdigit():
        yield from check_sockets(int(largest))
    if Path('/dev/shm').is_dir():
        yield from check_shared_memory(shutil.disk_usage('/dev/shm').free)
    yield from check_clock(clock_state())
    has_device = Path('/dev/nvidia0').exists() or Path('/dev/nvhost-gpu').exists()
    yield from check_gpu(has_device, lambda name: find_spec(name) is not None, _providers() if has_device else ())
    yield from check_middleware(os.environ, lambda path: Path(path).exists())


def _providers() -> tuple[str, ...]:
    if find_spec('onnxruntime') is None:
        return ()
    from ..inference.onnxruntime import available_providers

    return available_providers()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ''
