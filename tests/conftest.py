"""Fixtures that every test folder shares."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real data sets beside the checkout; skip where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the data sets of ../shared are not here")
    return SHARED
