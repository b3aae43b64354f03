"""Damaged files beside the repository, where there are any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def fault_corpus() -> Callable[[str], list[Path]]:
    """Lists the files of the fault corpus that match a pattern; skips where it is absent."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "fault_corpus"
    if not folder.is_dir():
        pytest.skip("the fault corpus (../shared) is not here")
    return lambda pattern: sorted(folder.glob(pattern))
