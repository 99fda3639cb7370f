"""What every test may ask for."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

# The same examples in every run, so that a failure belongs to the change that brought it;
# `--hypothesis-profile=search` looks for new ones.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None)
hypothesis.settings.register_profile("search", print_blob=True)
hypothesis.settings.load_profile("fixed")


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


@pytest.fixture(scope="session")
def cuda_host(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module `fake_cupy`, compiling into a folder of this session."""
    if shutil.which("g++") is None:
        pytest.skip("running CUDA sources on the CPU needs g++")
    path = Path(__file__).parent / "cuda_host" / "fake_cupy.py"
    spec = importlib.util.spec_from_file_location("fake_cupy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.Settings.folder = tmp_path_factory.mktemp("cuda_host")
    return module


@pytest.fixture
def fake_cupy(cuda_host: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """CuPy with the CPU as its device, in place of the real one."""
    cupy: ModuleType = cuda_host.FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx", cuda_host.FakeCupyx())
    monkeypatch.setitem(sys.modules, "cupyx.scipy.ndimage", cuda_host.FakeFilters())
    monkeypatch.setattr(cuda_host.Settings, "launches", [])
    monkeypatch.setattr(cuda_host.Settings, "refused", 0)
    return cupy
