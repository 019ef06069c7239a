# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The assistant: from somebody who walks to a rig file, with a page that says where to walk."""

import numpy as np
import pytest

from geo_pose_ros.assistant.assist import Assistant, AssistConfig, assist, coverage_image, guessed_rig
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.calibration.task import CalibrateTask, ScaleSource
from geo_pose_ros.cli import main
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.types import Frame

from ..calibration.walking import START_NS, images, pose_errors, walk
from ..scenes import ring_rig
from ..videos import write_two_videos

RIG = ring_rig(4)
TASK = CalibrateTask(CalibrateConfig(instants=60), from_scratch=True, scale=ScaleSource(distance=('cam0', 'cam1', float(
    np.linalg.norm(RIG['cam0'].position_m - RIG['cam1'].position_m)))))


class Walking:
    """Cameras and detector in one: grey images, and what a detector makes of somebody who walks."""

    def __init__(self, seconds):
        self.keypoints = images(RIG, [walk(seconds)], noise_px=1.0) if seconds else {}
        self.left = list(range(len(self.keypoints.get('cam0', ()))))

    def read(self):
        if not self.left:
            return None
        number = self.left.pop(0)
        return {name: Frame(name, seen[number].stamp_ns, np.full((48, 64, 3), 90, np.uint8), 20)
                for name, seen in self.keypoints.items()}

    def detect(self, frames, predicted):
        return {name: next(k for k in self.keypoints[name] if k.stamp_ns == frame.stamp_ns)
                for name, frame in frames.items()}


def assistant_of(out, **config):
    return Assistant(RIG, TASK, AssistConfig(**config), out)


@pytest.fixture
def stage():
    pytest.importorskip('viser')
    from geo_pose_ros.view.stage import Stage

    with Stage() as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize('enough_m', [0.05, 1e-4], ids=['good enough', 'images end'])
def test_cameras_are_found_while_somebody_walks(tmp_path, stage, enough_m):
    walking, assistant = Walking(30.0), assistant_of(tmp_path / 'rig.yaml', every_s=15.0, enough_position_m=enough_m)
    assist(stage, walking, walking, assistant)
    assistant.close()
    turns, moves, scale = pose_errors(read_calibration(tmp_path / 'rig.yaml'), RIG)
    assert turns.max() < 0.5 and moves.max() < 30.0 and abs(scale - 1.0) < 0.01
    assert ('That is enough.' in assistant.said) == (enough_m == 0.05) and 'Saved to' in assistant.said
    # Squares of half a metre where somebody walked.
    assert len(assistant.floor()) > 8 and np.abs(assistant.floor()).max() < 4.0


def test_without_people_nothing_is_saved_and_it_says_what_to_do(tmp_path, stage):
    assistant = assistant_of(tmp_path / 'rig.yaml')
    assistant.save()
    assert assistant.said == 'There are no cameras to save yet. Go on walking.' and not assistant.ended
    assistant.add(START_NS, {})
    nobody = Walking(0.0)
    assist(stage, nobody, nobody, assistant)
    assistant.close()
    assert 'holds no keypoints' in assistant.said and not (tmp_path / 'rig.yaml').exists()
    assert assistant.coverage.findings()[0].in_words == 'camera cam0: it saw nobody yet. Walk before it.'
    assert assistant.floor().shape == (0, 2)


def test_an_image_shows_what_is_not_covered():
    frame = Frame('cam0', 0, np.full((48, 64, 3), 100, np.uint8))
    covered = np.ones((2, 2))
    covered[0, 1] = 0.0
    image = coverage_image(frame, None, covered)
    assert image.shape == (240, 320, 3)
    assert image[200, 300].tolist() == [100, 100, 100] and image[10, 300, 0] > 150 > image[10, 300, 2]


def test_a_lens_is_guessed_from_the_size_of_its_image():
    frames = {name: Frame(name, 0, np.zeros((240, 320, 3), np.uint8), 2) for name in 'ab'}
    rig = guessed_rig(frames, {'b': RIG['cam0'].intrinsics}, 0.8)
    lens = rig['a'].intrinsics
    assert rig['b'].intrinsics is RIG['cam0'].intrinsics
    assert (lens.width, lens.height, lens.K[0, 0], lens.K[1, 2]) == (640, 480, 512.0, 239.5)


@pytest.mark.parametrize('words', [[], ['walk', '--live', '0']], ids=['neither', 'both'])
def test_the_command_takes_bags_or_cameras(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'walk').mkdir()
    assert main(['calibrate', *words, '--out', 'rig.yaml']) == 2
    assert f'takes bags, or --live; received {"both" if words else "neither"}' in capsys.readouterr().err


def test_from_videos_without_people_the_command_says_where_to_walk(tmp_path, capsys):
    pytest.importorskip('viser')
    folder = write_two_videos(tmp_path, 'rig.yaml')
    videos, out = [str(folder / f'cam{n}.mp4') for n in (0, 1)], folder / 'new.yaml'
    assert main(['calibrate', '--live', *videos, '--out', str(out)]) == 2
    said = capsys.readouterr()
    assert 'Look at http' in said.out
    assert 'No rig is written. camera cam0: it saw nobody yet. Walk before it. camera cam1: it saw' in said.err
    assert not out.exists()


def test_a_camera_that_is_not_there_is_named(tmp_path, capsys):
    assert main(['calibrate', '--live', 'left=/dev/none', '--out', str(tmp_path / 'rig.yaml')]) == 2
    assert "Camera 'left': '/dev/none' cannot be opened" in capsys.readouterr().err
