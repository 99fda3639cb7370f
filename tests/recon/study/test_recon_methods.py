"""`deltamu recon` by every method of study.toml and by another program: plan, progress, a stop, wrong options."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from deltamu.recon.cli import main
from deltamu.recon.errors import Cancelled
from deltamu.recon.solvers.method import METHODS, Method
from deltamu.recon.study.scan_plan import plan_scan
from deltamu.recon.study.single_scan import reconstruct_scan
from deltamu.recon.volumes.open import open_image

GIVEN = ("--set", "pixel_size_mm=0.1", "--center", "11.5", "--stripes", "off")
FEW = {"os-sart": 3, "osem": 3, "cgls": 8, "mlem": 40}


def volume_of(scan, out, *options):
    assert main(["recon", str(scan), "-o", str(out), *GIVEN, *options]) == 0
    return np.asarray(open_image(out)[:, :, :])


@pytest.fixture
def by_fbp(exchange, tmp_path):
    return volume_of(exchange, tmp_path / "fbp.zarr")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_reconstructs_the_scan(exchange, by_fbp, tmp_path, capsys, method):
    steps = FEW.get(method, 30)
    options = [] if method == "fbp" else ["--option", f"iterations={steps}"]
    found = volume_of(exchange, tmp_path / "out.zarr", "--method", method, *options)
    said = capsys.readouterr()
    assert f"by {method}, centre 11.50 px" in said.out
    assert f"plan: {method}; memory" in said.err
    assert said.err.count("reconstruct: done") == 1
    middle = np.s_[1:-1, 9:15, 9:15]
    # the rod's middle, a few voxels of noise
    assert found[middle].mean() == pytest.approx(by_fbp[middle].mean(), rel=0.03)


def test_iterations_that_ended_early_are_told(exchange, tmp_path, capsys):
    few = ("--method", "fista-tv", "--option", "iterations=2")
    volume_of(exchange, tmp_path / "few.zarr", *few)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2
    assert told[1].startswith("warning: fista-tv stopped after 2 iterations")
    # met at once
    volume_of(exchange, tmp_path / "met.zarr", *few, "--option", "relative_change=10.0")
    assert "warning" not in capsys.readouterr().out
    volume_of(exchange, tmp_path / "not_met.zarr", "--method", "sirt", "--option", "iterations=2", "--option", "relative_change=1e-9")  # fmt: skip
    assert "all 2 iterations before it met relative_change" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["fbp", "sirt"])
def test_another_program_reconstructs_the_scan(exchange, by_fbp, tmp_path, capsys, method):
    pytest.importorskip("astra")
    found = volume_of(exchange, tmp_path / "out.zarr", "--method", method, "--engine", "astra")
    assert f"by {method} by astra" in capsys.readouterr().out
    middle = np.s_[1:-1, 9:15, 9:15]
    assert found[middle].mean() == pytest.approx(by_fbp[middle].mean(), rel=0.03)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "sart"), r"method: .*'sirt'.* \(found 'sart'\)"),
        (
            ("--method", "sirt", "--option", "iteration=3"),
            "iteration: unknown key; did you mean 'iterations'",
        ),
        (("--method", "sirt", "--option", "iterations=0"), "iterations: .*1"),
        (("--method", "sirt", "--option", "strength=1"), "strength: the method sirt has none"),
        (("--option", "iterations"), "--option iterations: expected KEY=VALUE"),
        (("--engine", "astra", "--method", "osem"), "engine: astra has no method osem"),
        (("--engine", "atsra"), r"engine: .*\(found 'atsra'\)"),
    ],
)
def test_wrong_options_end_before_anything_is_read(tmp_path, capsys, options, words):
    out = tmp_path / "out.zarr"
    assert main(["recon", str(tmp_path / "none.h5"), "-o", str(out), *options]) == 2
    assert re.search(words, capsys.readouterr().err)
    assert not out.exists()


def test_slices_between_slices_see_their_neighbours_over_the_edges_of_blocks(exchange, tmp_path, monkeypatch):
    """Total variation in three dimensions: a halo makes a block nearly what it is in the whole."""
    from deltamu.recon.study import single_scan
    from deltamu.recon.study.scan_plan import ScanPlan

    options = ("--method", "fista-tv", "--option", "dimensions=3", "--option", "iterations=20")
    whole = volume_of(exchange, tmp_path / "whole.zarr", *options)
    staged = ScanPlan(True, 2, {"reconstruct": 1}, 1, 1, Method("fista-tv", dimensions=3))
    monkeypatch.setattr(single_scan, "plan_scan", lambda *_, **__: staged)
    parts = volume_of(exchange, tmp_path / "parts.zarr", *options)
    # 8 rows within the halo of 8: every block sees all of them
    np.testing.assert_allclose(parts, whole, atol=1e-4 * whole.max())


def test_a_stop_is_asked_for_between_iterations(exchange, tmp_path):
    told = []

    def progress(stage, state, done, total):
        told.append(stage)

    options = {"settings": {"pixel_size_mm": 0.1}, "center": 11.5, "stripes": "off", "rows": None}
    with pytest.raises(Cancelled, match="not finished"):
        reconstruct_scan(
            exchange, tmp_path / "out.zarr", method=Method("sirt", iterations=500), progress=progress,
            cancel=lambda: told.count("reconstruct") == 3, **options,
        )  # fmt: skip
    assert told.count("reconstruct") == 3


def test_the_plan_counts_what_a_method_holds():
    scan = SimpleNamespace(shape=(625, 128, 512), reference_frames=20)
    needed = {
        method.title: plan_scan(scan, rows=128, picked=0, stripes="off", limit=10**11, method=method).stages[
            "reconstruct"
        ]
        for method in (Method(), Method("sirt"), Method("pdhg-tv"), Method("sirt", engine="astra"))
    }
    # 32 rows: weights, variance and six sinograms of SIRT, four volumes
    slice_bytes = 4 * 512 * (8 * 625 + 4 * 512)
    assert needed["sirt"] - needed["fbp"] == pytest.approx(32 * slice_bytes, rel=0.2)
    assert needed["sirt by astra"] < needed["sirt"] < needed["pdhg-tv"]
