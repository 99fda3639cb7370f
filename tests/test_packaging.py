"""The package list matches the tree, and what is installed is complete."""

import importlib
import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP = ("kernels", "recon", "viewers")


def folders_with_code():
    return {
        "deltamu." + ".".join(path.parent.relative_to(ROOT).parts)
        for top in TOP
        for path in (ROOT / top).rglob("__init__.py")
    }


def modules():
    has_qt = importlib.util.find_spec("qtpy") is not None
    for top in TOP:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "widgets" in parts and not has_qt:
                continue
            yield "deltamu." + ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def data_files():
    suffixes = (".cu", ".cuh", ".h", ".yaml", ".jinja", ".css", ".mplstyle")
    for top in TOP:
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in suffixes or path.name == "py.typed":
                yield path.relative_to(ROOT).as_posix()


def test_package_list_matches_the_tree():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(declared) == sorted(folders_with_code())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_wheel_imports_everything_and_carries_every_data_file(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("deltamu-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    missing = [name for name in data_files() if f"deltamu/{name}" not in names]
    assert not missing
    # run far from the checkout and without the installed copy, so that only the wheel can answer
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in type(f).__module__ and 'editable' not in repr(f)]\n"
        "import importlib\n"
        f"for name in {list(modules())!r}:\n"
        "    module = importlib.import_module(name)\n"
        f"    assert {str(tmp_path)!r} in str(getattr(module, '__file__', '')), (name, module)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_importing_recon_does_not_bring_matplotlib():
    program = (
        "import sys, deltamu.recon.cli; assert 'matplotlib' not in sys.modules and 'zarr' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_module_imports():
    for name in modules():
        importlib.import_module(name)
