# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Numba as this package uses it: kernels of declared types, one cache on disk, nothing compiled while a set waits.

A module named ``kernels``, or in a folder of that name, holds plain loops over arrays. ``kernel`` marks a function that
Python calls: its annotations are its signature, so that another type or layout is an error and never compiles in
mid-run. ``helper`` marks a function that kernels call. NUMBA_DISABLE_JIT=1 runs both as plain Python, for a debugger.

Numba's own cache sees no changes in other files, and finds no cache of another user. Here each module of kernels has a
folder named after all that its compiled code depends on: its text, that of the modules whose helpers it takes, the
constants it imports, the versions of numba and Python, and the processor.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from .arrays import FloatArray
from .errors import BackendError

try:
    import numba
    from llvmlite import binding
    from numba.core import environment, types
    from numba.core.runtime import rtsys
except ImportError as error:
    raise BackendError(
        f'numba cannot be imported ({error}); the fusion is compiled with it. On a robot run: sudo apt-get install -y '
        'python3-numba; in a virtual environment: python3 -m pip install numba'
    ) from error

# Row-major arrays, with numba's name of the element and the number of axes.
Float1D = Annotated[NDArray[np.float64], 'float64', 1]
Float2D = Annotated[NDArray[np.float64], 'float64', 2]
Float3D = Annotated[NDArray[np.float64], 'float64', 3]
Float4D = Annotated[NDArray[np.float64], 'float64', 4]
Float5D = Annotated[NDArray[np.float64], 'float64', 5]
Single3D = Annotated[NDArray[np.float32], 'float32', 3]
Int1D = Annotated[NDArray[np.int64], 'int64', 1]
Int2D = Annotated[NDArray[np.int64], 'int64', 2]
Bool1D = Annotated[NDArray[np.bool_], 'boolean', 1]
Bool2D = Annotated[NDArray[np.bool_], 'boolean', 2]
Bool3D = Annotated[NDArray[np.bool_], 'boolean', 3]

_SCALARS: dict[object, types.Type] = {float: types.float64, int: types.int64, bool: types.boolean}
# Products and sums may be fused. Nothing else is: 'reassoc' lets isfinite(a + b) be true of NaN. Division by zero gives
# infinity, as in numpy.
_OPTIONS = {'nogil': True, 'error_model': 'numpy', 'fastmath': {'contract'}}
_LOG = logging.getLogger(__name__)
# Where an installation keeps compiled code, for all users.
_INSTALLED = Path(__file__).parent / '__pycache__' / 'kernels'
# Lies in the folder of a module whose kernels are all compiled.
_COMPLETE = 'complete'

F = TypeVar('F', bound=Callable[..., object])
# Each kernel with its folder and the parameters that it writes into.
_kernels: list[tuple[Callable[..., object], Path, tuple[str, ...]]] = []
_prepared = 0
_preparing = threading.Lock()


def helper(function: F) -> F:
    """Compile a function that kernels call, for the types that they give it."""
    compiled: F = numba.njit(**_OPTIONS)(function)
    return compiled


def kernel(*writes: str) -> Callable[[F], F]:
    """Return a decorator that compiles a function that Python calls, for the types of its annotations.

    These are float, int, bool, the aliases above and NamedTuples of them. Arrays are row-major. Arrays of the
    parameters ``writes`` and those in NamedTuples have to be writable; the kernel cannot write into others.
    """
    def decorate(function: F) -> F:
        folder = _folder(function.__module__)
        with _cache_in(folder):
            compiled: F = numba.njit(cache=True, **_OPTIONS)(function)
        _kernels.append((compiled, folder, writes))
        return compiled

    return decorate


def ready(array: FloatArray) -> FloatArray:
    """Return an array of floats as a NamedTuple for kernels holds it, row-major and writable: itself, or a copy."""
    flags = array.flags
    usable = flags.c_contiguous and flags.writeable and array.dtype == np.float64
    return array if usable else np.array(array, float, order='C')


def prepare(say: Callable[[str], object] = _LOG.warning) -> bool:
    """Load or compile all kernels that are imported; afterwards none compiles for other types.

    Whoever makes a scene has it called. A node, whose sets must not wait, calls it before.

    Args:
        say: receives one line before a compilation, which takes up to a minute.

    Returns:
        Whether anything was compiled.
    """
    with _preparing:
        return not numba.config.DISABLE_JIT and _prepare_new(say)


def _prepare_new(say: Callable[[str], object]) -> bool:
    """``prepare`` the kernels that were imported since it was last called."""
    global _prepared
    new, _prepared = _kernels[_prepared:], len(_kernels)
    folders = list(dict.fromkeys(folder for _, folder, _ in new))
    cold = [folder for folder in folders if not (folder / _COMPLETE).exists()]
    if cold:
        say(f'Compiling the fusion for this machine, once: up to a minute. It is kept in {cold[0].parent}.')
        _compile_aside([function.__module__ for function, folder, _ in new if folder in cold], cold[0].parent)
    for function, _, writes in new:
        signature = signature_of(function.py_func, writes)  # type: ignore[attr-defined]
        # What an earlier call compiled, for its own types, would compete.
        function._reset_overloads()  # type: ignore[attr-defined]
        if not _load(function, signature):
            if not cold:
                cold = folders
                say(f'Compiling the fusion anew: what is kept in {folders[0].parent} does not fit.')
            _compile(function, signature)
        function.disable_compile()  # type: ignore[attr-defined]
        for loaded in function.overloads.values():  # type: ignore[attr-defined]
            # Kernels do not call kernels: what numba keeps to link them to others is a fifth of their memory.
            loaded.library._shared_module = None
    for folder in cold:
        (folder / _COMPLETE).touch()
    return bool(cold)


def _compile_aside(modules: Sequence[str], base: Path) -> None:
    """Compile the kernels of ``modules``, one name per kernel, in as many processes as there are processors.

    They leave the code in folders of ``base``. This process loads it, without the memory that compiling takes, and
    compiles what failed there.
    """
    shares: list[list[str]] = [[] for _ in range(os.cpu_count() or 1)]
    for module, _ in Counter(modules).most_common():
        min(shares, key=lambda share: sum(modules.count(name) for name in share)).append(module)
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    environment = {**os.environ, 'NUMBA_CACHE_DIR': '', 'PYTHONPATH': paths}
    program = f'import sys; from {__name__} import compile_modules; compile_modules(*sys.argv[1:])'
    with suppress(OSError), ExitStack() as running:
        for share in filter(None, shares):
            command = [sys.executable, '-c', program, str(base), *share]
            running.enter_context(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))


def compile_modules(base: str, *modules: str) -> None:
    """Compile the kernels of ``modules`` into folders of ``base``."""
    global _INSTALLED
    _INSTALLED = Path(base)
    for module in modules:
        importlib.import_module(module)
        for function, _, writes in _kernels:
            if function.__module__ == module:
                _compile(function, signature_of(function.py_func, writes))  # type: ignore[attr-defined]


def _compile(function: Callable[..., object], signature: tuple[types.Type, ...]) -> None:
    """Compile a kernel, and keep its machine code.

    Numba keeps beside it what links it to other functions, which nobody does; to read that again is half of loading. In
    its stead lies a module that names what is defined.
    """
    function.compile(signature)  # type: ignore[attr-defined]
    made = function.overloads[signature]  # type: ignore[attr-defined]
    names = made.fndesc.llvm_func_name, made.fndesc.llvm_cpython_wrapper_name
    made.library._shared_module = binding.parse_assembly(
        '\n'.join(f'define void @"{name}"() {{ ret void }}' for name in names)
    )
    function._cache.save_overload(signature, made)  # type: ignore[attr-defined]


def _load(function: Callable[..., object], signature: tuple[types.Type, ...]) -> bool:
    """Load a kernel's machine code from its cache; return whether there is any.

    Numba's own way, ``compile``, first makes ready to compile: that takes memory and half a second.
    """
    target = function.targetctx  # type: ignore[attr-defined]
    rtsys.initialize(target)
    # Compiled code names modules of numba's compiler. It needs nothing of theirs, and to import them takes as long as
    # to load it.
    environment.importlib = SimpleNamespace(import_module=_as_module)
    try:
        loaded = function._cache._load_overload(signature, target)  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001 - a file that was cut off raises whatever unpickling it meets
        _LOG.warning('Compiled code cannot be read, and is made anew: %r', error)
        function._cache.flush()  # type: ignore[attr-defined]
        return False
    finally:
        environment.importlib = importlib
    if loaded is not None:
        function.add_overload(loaded)  # type: ignore[attr-defined]
    return loaded is not None


def _as_module(name: str) -> ModuleType:
    """Return a module by its name; an empty one for a part of numba that nobody imported."""
    return sys.modules.get(name) or (ModuleType(name) if name.startswith('numba.') else importlib.import_module(name))


def cache_folders() -> list[Path]:
    """Return the folders in which the compiled code of the imported kernels is kept."""
    return list(dict.fromkeys(folder.parent for _, folder, _ in _kernels))


def signature_of(function: Callable[..., object], writes: tuple[str, ...] = ()) -> tuple[types.Type, ...]:
    """Return numba's types of a function's parameters, of which it writes into ``writes``.

    Raises:
        BackendError: if an annotation has no type of numba's.
    """
    hints = get_type_hints(function, include_extras=True)
    hints.pop('return', None)
    return tuple(_type_of(hint, name not in writes, f'{function.__name__}({name})') for name, hint in hints.items())


def _type_of(hint: object, readonly: bool, where: str) -> types.Type:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and hasattr(hint, '_fields'):
        fields = get_type_hints(hint, include_extras=True)
        kinds = [_type_of(fields[name], False, f'{where}.{name}') for name in hint._fields]
        if len(set(kinds)) == 1:
            return types.NamedUniTuple(kinds[0], len(kinds), hint)
        return types.NamedTuple(kinds, hint)
    element, axes = getattr(hint, '__metadata__', ('', 0))
    if not element:
        raise BackendError(
            f'{where}: received the type {hint}; expected float, int, bool, an alias of geo_pose_ros.compiled, '
            'or a NamedTuple.'
        )
    return types.Array(getattr(types, element), axes, 'C', readonly=readonly)


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    """Let numba keep what it decorates meanwhile in ``folder``."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


@cache
def _folder(module: str) -> Path:
    """Return the folder for the compiled code of a module, which can be written; a finished one is copied if need be.

    It is asked for when the module's first kernel is decorated, after its imports.
    """
    digest = hashlib.sha256()
    for text in _dependencies(module):
        digest.update(text.encode())
    name = f'{module}-{digest.hexdigest()[:16]}'
    installed = _INSTALLED / name
    for base in _bases():
        folder = base / name
        if _is_writable(folder):
            if folder != installed and (installed / _COMPLETE).exists() and not (folder / _COMPLETE).exists():
                _copy(installed, folder)
            return folder
    return Path(tempfile.mkdtemp(prefix='geo_pose_ros-kernels-')) / name


def _copy(source: Path, folder: Path) -> None:
    """Copy all of ``source`` to an empty folder at once; another process may have done so meanwhile."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as made, suppress(OSError):
        shutil.copytree(source, Path(made) / folder.name)
        (Path(made) / folder.name).replace(folder)


def _bases() -> Iterator[Path]:
    """Yield where compiled code may be kept, the best first: where it is asked for, beside the code, at the user's."""
    if os.environ.get('NUMBA_CACHE_DIR'):
        yield Path(os.environ['NUMBA_CACHE_DIR']) / 'geo_pose_ros'
    yield _INSTALLED
    yield Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'geo_pose_ros' / 'kernels'


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _dependencies(module: str) -> Iterator[str]:
    """Yield the texts that decide what the kernels of a module compile to."""
    yield Path(__file__).read_text()
    yield f'{numba.__version__} {sys.version} {binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}'
    unread, read = [module], set()
    while unread:
        name = unread.pop(0)
        if name in read:
            continue
        read.add(name)
        yield Path(str(sys.modules[name].__file__)).read_text()
        for key, value in sorted(vars(sys.modules[name]).items(), key=lambda item: item[0]):
            function = getattr(value, 'py_func', None)
            if function is not None:
                unread.append(function.__module__)
            elif name == module and isinstance(value, (bool, int, float, tuple, np.ndarray)):
                yield f'{key} {value!r}'
