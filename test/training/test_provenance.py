"""Results name their source."""

from __future__ import annotations

from pathlib import Path

import pytest
from geo_pose_training import provenance


def test_commit_of_this_tree_and_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = provenance.source_commit()
    assert commit == '' or len(commit) == 40
    monkeypatch.setattr(provenance, '__file__', str(tmp_path / 'provenance.py'))
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path))
    assert provenance.source_commit() == ''
    monkeypatch.setenv('PATH', str(tmp_path))
    assert provenance.source_commit() == ''
