"""What every test may ask for."""

import os
import subprocess
from collections.abc import Iterator
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here; that needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
