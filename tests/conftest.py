"""What every test may ask for."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def deltamu_data() -> Path:
    """Folder of real measurements; the test is skipped where it does not exist."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("DELTAMU_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real measurements at {folder}; set DELTAMU_DATA")
    return folder
