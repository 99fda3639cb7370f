"""`deltamu recon` in little memory: the same volume, as much memory as was stated, a refusal with the number."""

import re

import h5py
import numpy as np
import pytest
import tifffile

from deltamu.recon.cli import main
from deltamu.recon.preprocess.gain_pattern import gain_pattern
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.scans.read import read_scan
from deltamu.recon.solvers.method import Method
from deltamu.recon.study import single_scan
from deltamu.recon.study.frames_to_rows import correct_scan, mean_projection, pick_rows
from deltamu.recon.study.progress import silent
from deltamu.recon.study.reconstructed_rows import ReconstructedRows
from deltamu.recon.study.row_solver import RowSolver
from deltamu.recon.study.scan_plan import ScanPlan
from deltamu.recon.volumes.blocks import create_stack
from deltamu.recon.volumes.open import open_image


@pytest.fixture
def rod_scan(exchange):
    return read_scan(exchange, pixel_size_mm=0.1)


def solver_of(scan, method):
    correction = prepare_correction(scan)
    return RowSolver(method, scan.angles, 11.5, 0.1, correction, np.ones(scan.shape[0]))


def stacks(scan, folder, rows):
    """The same line integrals in memory and on disk, with files of 32 views."""
    correction = prepare_correction(scan)
    shape = (scan.shape[0], rows.stop - rows.start, scan.shape[2])
    memory = np.empty(shape, np.float32)
    disk = create_stack(folder / "lines", shape=shape, chunks=(32, 3, shape[2]))
    picked = np.array([0, 4, 5, 7])
    chosen = [correct_scan(scan, correction, stack, rows=rows, picked=picked) for stack in (memory, disk)]
    np.testing.assert_array_equal(*chosen)
    return memory, disk, chosen[0]


def test_line_integrals_on_disk_are_those_in_memory(rod_scan, tmp_path):
    memory, disk, _ = stacks(rod_scan, tmp_path, slice(2, 7))
    np.testing.assert_array_equal(disk[:, :, :], memory)


def test_picked_rows_are_rows_of_the_stack(rod_scan, tmp_path):
    memory, disk, chosen = stacks(rod_scan, tmp_path, slice(0, 8))
    np.testing.assert_array_equal(chosen, memory[:, [0, 4, 5, 7]])
    np.testing.assert_array_equal(pick_rows(disk, np.array([0, 4, 5, 7])), chosen)


@pytest.mark.parametrize("step", [2, 4, 32])
@pytest.mark.parametrize("stripes", [False, True])
def test_rows_do_not_depend_on_how_they_are_read(rod_scan, tmp_path, step, stripes):
    """Even steps: two slices share a complex transform, and a slice must keep its partner."""
    memory, disk, _ = stacks(rod_scan, tmp_path, slice(0, 8))
    solver = solver_of(rod_scan, Method())
    gains = [gain_pattern(mean_projection(stack)) if stripes else None for stack in (memory, disk)]
    whole = ReconstructedRows(memory, solver, 32, gains[0], silent)[:, :, :]
    parts = ReconstructedRows(disk, solver, step, gains[1], silent)
    np.testing.assert_array_equal(np.concatenate([parts[0:3], parts[3:8]]), whole)
    np.testing.assert_array_equal(np.stack([parts[row] for row in range(8)]), whole)
    np.testing.assert_array_equal(parts[1:7:2, 3, ::4], whole[1:7:2, 3, ::4])
    np.testing.assert_array_equal(parts[-1], whole[-1])
    with pytest.raises(IndexError):
        parts[8]


@pytest.mark.parametrize("name", ["out.zarr", "out.h5", "out.tif", "out"])
def test_a_scan_that_does_not_fit_becomes_the_same_volume(exchange, tmp_path, monkeypatch, name):
    whole, parts = tmp_path / "whole" / name, tmp_path / "parts" / name
    for folder in (whole.parent, parts.parent):
        folder.mkdir()
    command = ["recon", str(exchange), "--set", "pixel_size_mm=0.1", "--stripes", "on", "-o"]
    assert main([*command, str(whole)]) == 0
    staged = ScanPlan(True, 4, {"reconstruct": 1}, 1, 1, Method())
    monkeypatch.setattr(single_scan, "plan_scan", lambda *args, **options: staged)
    assert main([*command, str(parts)]) == 0
    np.testing.assert_array_equal(read_back(parts), read_back(whole))
    # nothing but the volume is left
    assert [path.name for path in parts.parent.iterdir()] == [name]


def read_back(path):
    if path.suffix == ".zarr":
        return open_image(path)[:, :, :]
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return file["volume"][...]
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return np.concatenate([np.atleast_3d(tifffile.imread(file)) for file in files])


def test_too_little_memory_is_refused_with_the_number_needed(said, exchange, tmp_path):
    out = tmp_path / "out.zarr"
    error = said("recon", exchange, "-o", out, "--set", "pixel_size_mm=0.1", "--memory", "20M", status=3)
    assert re.search(r"needs [12]\d\d\.\d MB, 21\.0 MB were given", error)
    assert not out.exists()


def test_memory_that_is_no_size_is_refused(said, exchange, tmp_path):
    options = ("-o", tmp_path / "out.zarr", "--set", "pixel_size_mm=0.1", "--memory", "much")
    assert "memory: found 'much'" in said("recon", exchange, *options, status=2)
