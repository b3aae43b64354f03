"""Lets the tests of this folder share their networks and values."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def any_ghn() -> str:
    """The name of a hypernetwork for the digits; skips where none is shipped."""
    from ghn_studio.ghn.cards import list_cards

    card = next((c for c in list_cards() if c.dataset == "digits"), None)
    if card is None:
        pytest.skip("no hypernetwork is shipped")
    return card.name
