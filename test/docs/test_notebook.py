# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The notebook of the documentation runs, and its page shows what it gives."""

import json
from pathlib import Path

import pytest

from ..examples.test_examples import load_module

notebook = load_module(Path(__file__).parents[2] / 'tools' / 'notebook.py')
NOTEBOOK = notebook.NOTEBOOK
STORED = json.loads(NOTEBOOK.read_text())


def test_the_page_and_its_images_are_those_of_the_notebook():
    page, images = notebook.page_of(STORED)
    assert NOTEBOOK.with_suffix('.md').read_text() == page
    assert images == {path.name: path.read_bytes() for path in notebook.MEDIA.glob('notebook_*.png')}


@pytest.mark.slow
def test_every_cell_runs_and_gives_what_is_stored():
    pytest.importorskip('pandas')
    pytest.importorskip('xarray')
    stored = [{kind: text for output in cell['outputs'] for kind, text in output['data'].items()}
              for cell in notebook.code_cells(STORED)]
    found = notebook.run_cells(STORED)
    assert [list(data) for data in found] == [list(data) for data in stored]
    assert found[0] == stored[0] and found[0]['text/plain'].startswith('BodySequence(2 people, 120 sets')
    # The error against the truth, mm.
    assert abs(float(found[-1]['text/plain']) - float(stored[-1]['text/plain'])) < 0.2
