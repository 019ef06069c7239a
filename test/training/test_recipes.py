# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Recipes: those of the package, and files."""

from __future__ import annotations

from pathlib import Path

import pytest
from geo_pose_training.settings import load_recipe, recipe_names, stored_recipe

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.inference.model_card import default_model, load_card


def test_recipes_load_and_say_what_they_are() -> None:
    assert {'geo', 'li2020', 'li2020_temporal', 'reprojection_only', 'pseudo_label', 'supervised'} <= set(
        recipe_names()
    )
    for name in recipe_names():
        assert load_recipe(name).description
        assert (load_recipe(name).data.labels == 'truth') == (name == 'supervised')
    assert load_recipe('li2020', {'optim.steps': 7}).optim.steps == 7


def test_wrong_recipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'typo.yaml').write_text('optim: {stepz: 3}')
    near_and_far = {'data.virtual_cameras.nearest_m': 3.0, 'data.virtual_cameras.farthest_m': 2.0}
    for name, changes, words in (
        ('magic', {}, 'Unknown recipe'), (str(tmp_path / 'none.yaml'), {}, 'does not exist'),
        (str(tmp_path / 'typo.yaml'), {}, 'stepz'),
        ('li2020', {'loss.label': 1.0}, r'loss\.label needs labels'),
        ('li2020', {'data.sides': 'repaired'}, r'data\.sides needs labels'),
        ('li2020', {'data.copies.count': 1}, r'data\.copies\.count needs labels'),
        ('pseudo_label', {'data.copies.occlusion.limbs': 0.1}, 'there are no copies'),
        ('geo', near_and_far, r'nearest_m is 3, above data\.virtual_cameras\.farthest_m, 2'),
        ('li2020', {'optim.lifted_views': 1}, 'lifted_views'),
        ('geo', {'data.copies.body.ansur': 0.0, 'data.copies.body.children': 0.1}, 'and ansur is 0'),
        ('geo', {'data.virtual_cameras.far_share': 0.1}, r'farthest_m is 8, above data\.virtual_cameras\.far_m, 0'),
        ('geo', {'data.copies.body.narrowest_hips': 0.1}, r'narrowest_hips is 0\.1, above'),
    ):
        with pytest.raises(ConfigError, match=words):
            load_recipe(name, changes)


def test_the_recipe_of_the_model_that_ships_is_read() -> None:
    stored = stored_recipe(load_card(default_model()).training['recipe'])
    assert stored.data.copies.body == load_recipe('body17').data.copies.body
