# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Skeletons and the maps between them."""

import numpy as np
import pytest

from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.skeleton import (
    BLAZEPOSE33,
    BODY17,
    BODY33,
    COCO17,
    HALPE26,
    OUTPUTS,
    SKELETONS,
    Skeleton,
    SkeletonMap,
    anchors,
    get_skeleton,
    map_to_body17,
    map_to_output,
    output_of_width,
)

DETECTORS = (COCO17, HALPE26, BLAZEPOSE33)


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=lambda s: s.name)
def test_flip_pairs_exchange_left_and_right_names(skeleton):
    # Points on a face have numbers.
    for left, right in skeleton.flip_pairs:
        assert skeleton.joint_names[left].replace('left', 'right') == skeleton.joint_names[right] or all(
            skeleton.joint_names[side].startswith('face_') for side in (left, right)
        )
    paired = {index for pair in skeleton.flip_pairs for index in pair}
    named = [(i, n) for i, n in enumerate(skeleton.joint_names) if not n.startswith('face_')]
    assert all(('left' in n or 'right' in n) == (i in paired) for i, n in named)


@pytest.mark.parametrize('source', DETECTORS, ids=lambda s: s.name)
def test_map_takes_means_and_smallest_confidence(source):
    rng = np.random.default_rng(1)
    xy, confidence = rng.uniform(0, 100, (2, len(source), 2)), rng.uniform(0.1, 1.0, (2, len(source)))
    mapped, trust = map_to_body17(source).apply(xy, confidence)
    left, right = source.index('left_hip'), source.index('right_hip')
    np.testing.assert_allclose(mapped[:, 0], (xy[:, left] + xy[:, right]) / 2)
    np.testing.assert_allclose(trust[:, 0], np.minimum(confidence[:, left], confidence[:, right]))
    np.testing.assert_allclose(mapped[:, 13], xy[:, source.index('left_wrist')])
    shoulders = (xy[:, source.index('left_shoulder')] + xy[:, source.index('right_shoulder')]) / 2
    np.testing.assert_allclose(mapped[:, 8], shoulders)
    np.testing.assert_allclose(mapped[:, 7], (shoulders + mapped[:, 0]) / 2)


def test_missing_source_makes_only_its_targets_missing():
    xy, confidence = np.ones((1, 17, 2)), np.ones((1, 17))
    xy[0, COCO17.index('left_hip')] = np.nan
    mapped, trust = map_to_body17(COCO17).apply(xy, confidence)
    missing = {BODY17.joint_names[j] for j in np.flatnonzero(np.isnan(mapped[0, :, 0]))}
    assert missing == {'pelvis', 'spine', 'left_hip'}
    assert (trust[0] == 0.0).sum() == 3


TWO = Skeleton('two', ('a', 'b'), ((0, 1),), ())


@pytest.mark.parametrize(('made', 'error', 'message'), [
    (lambda: get_skeleton('coco18'), ConfigError, "Unknown skeleton 'coco18'; known: body17, coco17"),
    (lambda: BODY17.index('tail'), ConfigError, "has no joint 'tail'"),
    (lambda: Skeleton('x', ('a', 'a'), (), ()), ConfigError, 'joint names repeat'),
    (lambda: Skeleton('x', ('a', 'b'), ((0, 2),), ()), ConfigError, r'outside 0\.\.1'),
    (lambda: map_to_body17(TWO), ConfigError, "No map from skeleton 'two'"),
    (lambda: SkeletonMap(TWO, TWO, {'a': {'a': 1.0}}), ConfigError, r"no source for \['b'\]"),
    (lambda: SkeletonMap(TWO, TWO, {'a': {'a': 1.0}, 'b': {'a': 0.9}}), ConfigError, r"weights of 'b' sum to 0\.9"),
    (lambda: map_to_body17(BLAZEPOSE33).apply(np.zeros((1, 17, 2)), np.zeros((1, 17))), ShapeError,
     'received 17 joints with 17 confidences, expected 33'),
])
def test_what_is_no_skeleton_or_map_is_refused(made, error, message):
    with pytest.raises(error, match=message):
        made()


def test_outputs_begin_with_body17_and_each_has_a_width_of_its_own():
    widths = {len(output): output for output in OUTPUTS.values()}
    assert len(widths) == len(OUTPUTS) and BODY33 in widths.values()
    for width, output in widths.items():
        assert output.joint_names[:17] == BODY17.joint_names and output.edges[:16] == BODY17.edges
        assert output_of_width(width) is output and get_skeleton(output.name) is output
    assert set(BLAZEPOSE33.joint_names) < set(BODY33.joint_names) and len(BODY33) == 37
    assert output_of_width(5) is BODY17


def test_joints_are_taken_by_name_and_what_is_not_given_is_unknown():
    xy = np.random.default_rng(0).uniform(0.0, 100.0, (2, 26, 2))
    mapped, confidence = map_to_output(HALPE26, BODY33, xy, np.full((2, 26), 0.5))
    np.testing.assert_array_equal(mapped[:, BODY33.index('left_heel')], xy[:, HALPE26.index('left_heel')])
    np.testing.assert_array_equal(mapped[:, BODY17.index('left_wrist')], xy[:, HALPE26.index('left_wrist')])
    missing = BODY33.index('left_foot_index')
    assert np.isnan(mapped[:, missing]).all() and (confidence[:, missing] == 0.0).all()


def test_further_joints_hang_from_body17():
    hang = {BODY33.joint_names[j]: BODY17.joint_names[anchor] for j, anchor in enumerate(anchors(BODY33))}
    assert hang['left_foot_index'] == 'left_ankle' and hang['right_thumb'] == 'right_wrist'
    assert hang['mouth_left'] == 'nose' and hang['spine'] == 'spine'
    lonely = Skeleton('lonely', (*BODY17.joint_names, 'tail'), BODY17.edges, ())
    assert anchors(lonely)[17] == BODY17.index('pelvis')
