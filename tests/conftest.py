"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def m3h_data() -> Path:
    """The folder of real data that M3H_DATA names; skipped where it is not set."""
    folder = os.environ.get("M3H_DATA")
    if not folder:
        pytest.skip("M3H_DATA is not set: it names the folder of real data")
    return Path(folder)
