"""The public names of the package, as a user meets them."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deltamu.recon


@pytest.mark.parametrize("name", deltamu.recon.__all__)
def test_every_public_name_loads_and_says_what_it_is(name):
    assert getattr(deltamu.recon, name).__doc__.strip()


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(deltamu.recon.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(seen) == sorted(deltamu.recon.__all__)
    assert {name: f"deltamu.recon.{module}" for name, module in deltamu.recon._MODULES.items()} == seen


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="fpb"):
        deltamu.recon.fpb  # noqa: B018


def test_importing_the_package_loads_no_stage():
    code = "import sys, deltamu.recon; print([m for m in ('numpy', 'scipy', 'h5py', 'zarr') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_name_does_not_hide_the_module_it_shares_a_stem_with():
    import deltamu.recon.solvers.fbp as module

    assert callable(deltamu.recon.fbp)
    assert module.fbp is deltamu.recon.fbp


def disc_scan():
    """The smallest scan that means something."""
    from deltamu.recon import scan_from_arrays

    columns = np.arange(64) - 31.5
    # a disc of radius 2 mm, 0.5 per cm, on a detector of 0.1 mm pixels
    chord_cm = 0.2 * np.sqrt(np.maximum(4.0 - (columns * 0.1) ** 2, 0))
    frames = np.broadcast_to(1000 * np.exp(-0.5 * chord_cm), (90, 8, 64))
    return scan_from_arrays(
        frames.astype(np.float32),
        np.arange(90) * 2.0,
        flats=np.full((2, 8, 64), 1000, np.float32),
        darks=np.zeros((2, 8, 64), np.float32),
        pixel_size_mm=0.1,
    )


def test_a_disc_from_arrays_to_attenuation():
    from deltamu.recon import fbp, find_center, line_integrals

    scan = disc_scan()
    integrals = line_integrals(scan, counts_per_adu=10.0)
    center = find_center(integrals, scan.angles)
    volume = fbp(integrals, scan.angles, center=center.center, pixel_size_mm=0.1)
    assert center.center == pytest.approx(31.5, abs=0.05)
    # 90 views and 40 pixels across leave a few parts in a thousand
    assert volume[:, 20:44, 20:44].mean() == pytest.approx(0.5, rel=0.01)


def test_the_example_of_the_readme(capsys):
    pytest.importorskip("astra")
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    example = text.split("```python\n")[1].split("```")[0]
    found = {"scan": disc_scan()}
    exec(example, found)
    for volume in (found["mu"], found["same"], found["x"]):
        assert volume[:, 20:44, 20:44].mean() == pytest.approx(0.5, rel=0.02)
    assert float(capsys.readouterr().out) < 1e-6
