# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What the ROS build farm reads: package.xml, the changelog, and ROS's linters with this package's configuration.

Linters are run where they are installed (``make lint-ros``); their configuration is here and in setup.cfg.
"""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTED = [str(ROOT / name) for name in (
    'geo_pose_ros', 'training', 'test', 'launch', 'tools', 'benchmarks', 'examples',
)]
# Import -> rosdep key, where the two differ.
KEYS = {
    'PIL': 'python3-pil', 'cv2': 'python3-opencv', 'jinja2': 'python3-jinja2', 'llvmlite': 'python3-numba',
    'matplotlib': 'python3-matplotlib', 'numba': 'python3-numba', 'numpy': 'python3-numpy',
    'onnxruntime': 'python3-onnxruntime-pip', 'rosbags': 'python3-rosbags-pip', 'scipy': 'python3-scipy',
    'tf2_ros': 'tf2_ros_py', 'tqdm': 'python3-tqdm', 'yaml': 'python3-yaml',
}
# Used where they are installed, and named in the message where they are not: pip's extras, vendors' libraries, and
# tomli and typing_extensions for Python 3.10, which rosbags brings.
OPTIONAL = {
    'cuda', 'distributed', 'ezc3d', 'imageio_ffmpeg', 'onnx', 'pandas', 'pyarrow', 'pygltflib', 'tensorrt', 'tomli',
    'typing_extensions', 'viser', 'xarray', 'hri_msgs', 'vision_msgs',
}
# Of pydocstyle: styles that exclude each other (D203 D212 D213), sections as Google has them (D4xx), nouns for a
# thing (D401), shapes in the first line (D402), arguments that their names explain (D417); ruff asks for the rest.
PEP257 = [f'D{code}' for code in (
    100, 101, 102, 103, 104, 105, 106, 107, 203, 212, 213, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411,
    413, 416, 417,
)]


def imported() -> set[str]:
    """Return what the runtime and the launch files import, and the packages of the messages that they make by name."""
    found = set()
    for path in [*(ROOT / 'geo_pose_ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).split('.')[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(re.findall(r'^(\w+_msgs|\w+_interfaces|std_srvs)/(?:msg|srv)/\w+$', node.value))
    # Python 3.10 does not have tomllib yet.
    return found - set(sys.stdlib_module_names) - {'tomllib', 'geo_pose_ros', 'geo_pose_training'}


def test_the_manifest_names_what_the_runtime_imports():
    manifest = ElementTree.parse(ROOT / 'package.xml').getroot()
    named = {element.text for element in manifest.iter('exec_depend')}
    needed = {KEYS.get(name, name) for name in imported() - OPTIONAL}
    # Not imported: what launch files start, the cameras' transport, and what rclpy's lifecycle speaks.
    assert needed ^ named == {'rviz2', 'compressed_image_transport', 'lifecycle_msgs'}


def test_one_version_everywhere():
    version = ElementTree.parse(ROOT / 'package.xml').getroot().findtext('version')
    for name, pattern in (
        ('setup.py', "version='(.*)'"), ('CITATION.cff', '\nversion: (.*)'),
        ('geo_pose_ros/__init__.py', "__version__ = '(.*)'"),
    ):
        assert re.findall(pattern, (ROOT / name).read_text()) == [version], name


def test_the_build_farm_reads_manifest_and_changelog(tmp_path):
    package = pytest.importorskip('catkin_pkg.package').parse_package(ROOT / 'package.xml')
    found = package.name, package.licenses, package.get_build_type()
    assert found == ('geo_pose_ros', ['Apache-2.0'], 'ament_python')
    assert package.urls and package.authors and package.maintainers
    from catkin_pkg.changelog import get_changelog_from_path

    text = (ROOT / 'CHANGELOG.rst').read_text()
    assert text.count('\nForthcoming\n-----------\n') == 1
    # As catkin_prepare_release dates it.
    dated = text.replace('\nForthcoming\n---', f'\n{package.version} (2026-12-01)\n------')
    (tmp_path / 'CHANGELOG.rst').write_text(dated)
    changelog = get_changelog_from_path(tmp_path)
    (version, date, content), = changelog.foreach_version()
    assert (version, date.year) == (package.version, 2026)
    assert sum(len(list(part)) for part in content) == text.count('\n* ')


@pytest.mark.slow
@pytest.mark.parametrize('name, arguments', [
    ('copyright', []), ('flake8', ['--config', str(ROOT / 'setup.cfg')]), ('pep257', ['--ignore', *PEP257, '--']),
    ('xmllint', [str(ROOT / 'package.xml')]),
])
def test_the_linters_of_ros_are_green(name, arguments, monkeypatch, capfd):
    linter = pytest.importorskip(f'ament_{name}.main')
    if name == 'copyright':
        know_the_short_licence(monkeypatch)
    assert linter.main([*arguments, *LINTED]) == 0, ''.join(capfd.readouterr())


def know_the_short_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ament_copyright, which knows long headers only, read one line: 'Copyright YEAR NAME. SPDX...: Apache-2.0'."""
    from ament_copyright import licenses, parser

    search = parser.search_copyright_information
    mark = 'SPDX-License-Identifier: Apache-2.0'
    short = licenses.LicenseEntryPoint('Apache-2.0', 'Apache-2.0', [f'{{copyright}}\n{mark}'], [], [])
    monkeypatch.setattr(parser, 'get_licenses', lambda: {'apache2_spdx': short})
    monkeypatch.setattr(
        parser, 'search_copyright_information', lambda text: search(text and text.replace(f'. {mark}', f'\n{mark}'))
    )
