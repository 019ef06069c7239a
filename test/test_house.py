# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The rules of the house, over the whole tree: sizes that can be read, one name for one thing, the words of the field.

Each rule is a function that yields its breaches.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tokenize
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ('geo_pose_ros/', 'training/')

# Words that the field does not use for it, in identifiers. The table of words in the docs names those that it does use.
WORDS = re.compile(
    r'supports?|supported|trust|trusted|doubts?|adrift|astray|beliefs?|fleeting|lasting|foreseen?|expected|hoped|told|'
    r'looks|claims?|claimed|reunite|reunion|strangers?|circumstances|whereabouts|places?|shifts?|shifted|pictures?|'
    r'unexplained|sought'
)
PROSE = re.compile(
    r'\b(support(?!ed by|s? )|trust|doubt|adrift|astray|belief|fleeting|lasting|foreseen?|foresees|hoped for|hopes?|'
    r'told|claims?|claimed|reunit\w*|second readings?|strangers?|circumstances|whereabouts|stands? elsewhere|'
    r'pictures?|frame sets?|expected|expects?|that of which|whom|such that they do not|of these)\b',
    re.IGNORECASE,
)
# A message names what it received and expected.
MESSAGE = re.compile(r'\bexpected?\b', re.IGNORECASE)

MOST_ANY = 40

HEADER = '# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0'


@cache
def files() -> tuple[Path, ...]:
    """Return the Python files of the repository, from its root."""
    listed = subprocess.run(
        ['git', 'ls-files', '-co', '--exclude-standard', '*.py'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(path for path in map(Path, listed.stdout.splitlines()) if (ROOT / path).exists())


def code() -> Iterator[Path]:
    """Yield the Python files that are no tests."""
    return (path for path in files() if path.parts[0] != 'test')


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all nodes of a file's syntax tree."""
    return tuple(ast.walk(ast.parse((ROOT / path).read_text())))


def lines_of(node: ast.FunctionDef | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def functions_of_at_most_60_lines_and_classes_of_250() -> Iterator[str]:
    """A function has one duty, a class one reason to change; a reader sees all of it at once."""
    for path in files():
        for node in nodes(path):
            most = 60 if isinstance(node, ast.FunctionDef) else 250
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and lines_of(node) > most:
                yield f'{path}:{node.lineno} {node.name}: {lines_of(node)} lines'


def at_most_14_files_in_a_folder() -> Iterator[str]:
    """A folder with more than a dozen files has a second subject in it: give that a folder."""
    for folder, count in Counter(path.parent for path in files()).items():
        if count > 14:
            yield f'{folder}: {count} files'


def one_class_of_a_name() -> Iterator[str]:
    """Whoever reads a name must know what it is without looking where it came from."""
    where = defaultdict(list)
    for path in code():
        if str(path).startswith(PACKAGES):
            for node in nodes(path):
                if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
                    where[node.name].append(f'{path}:{node.lineno}')
    yield from (f'{name}: {", ".join(places)}' for name, places in where.items() if len(places) > 1)


def licence_first() -> Iterator[str]:
    """Every Python file begins with the licence's line; a file that has to be empty stays so."""
    for path in files():
        lines = (ROOT / path).read_text().splitlines()
        if lines and HEADER not in lines[:2]:
            yield f'{path}: begin it with {HEADER}'


def any_at_the_borders_alone() -> Iterator[str]:
    """Any switches the type checker off: it belongs to the borders, to ROS and to libraries without types."""
    found = [
        f'{path}:{node.lineno}' for path in code() if path.parts[0] == 'geo_pose_ros'
        for node in nodes(path) if isinstance(node, ast.Name) and node.id == 'Any'
    ]
    yield from found if len(found) > MOST_ANY else ()


def words_of_the_field_in_names() -> Iterator[str]:
    """A stranger who knows Hartley & Zisserman and Bar-Shalom must be able to guess what a name holds."""
    for path in code():
        for node in nodes(path):
            for name in names_bound_by(node):
                if any(WORDS.fullmatch(part.lower()) for part in re.findall(r'[a-z]+|[A-Z][a-z]*', name)):
                    yield f'{path}:{node.lineno} {name}'  # type: ignore[attr-defined]


def names_bound_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr


def words_of_the_field_in_prose() -> Iterator[str]:
    """Comments, docstrings, messages and pages use the same words as the names."""
    for path in code():
        documented = [node for node in nodes(path) if has_docstring(node)]
        documents = {id(node.body[0].value) for node in documented}  # type: ignore[attr-defined]
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and ' ' in node.value:
                said = node.value if id(node) in documents else MESSAGE.sub('', node.value)
                yield from (f'{path}:{node.lineno} {word}' for word in PROSE.findall(said))
        with (ROOT / path).open('rb') as source:
            for token in tokenize.tokenize(source.readline):
                if token.type == tokenize.COMMENT:
                    yield from (f'{path}:{token.start[0]} {word}' for word in PROSE.findall(token.string))
    for page in sorted((ROOT / 'docs').rglob('*.md')):
        text = re.sub(r'```.*?```|`[^`\n]*`', '', page.read_text(), flags=re.DOTALL)
        yield from (f'{page.relative_to(ROOT)} {word}' for word in PROSE.findall(text))


def has_docstring(node: ast.AST) -> bool:
    return isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None


RULES: tuple[Callable[[], Iterator[str]], ...] = (
    functions_of_at_most_60_lines_and_classes_of_250, at_most_14_files_in_a_folder, one_class_of_a_name, licence_first,
    any_at_the_borders_alone, words_of_the_field_in_names, words_of_the_field_in_prose,
)


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rule(rule: Callable[[], Iterator[str]]) -> None:
    found = list(rule())
    assert not found, f'{rule.__doc__}\n{len(found)} breaches:\n' + '\n'.join(found)
