"""Filtered back-projection on the device, and from the host by all devices."""

import threading

import numpy as np
import pytest

from deltamu.kernels.gridding_cuda import BATCH, device_gridding_cost
from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.solvers import fbp_gpu
from deltamu.recon.solvers.fbp import fbp

ANGLES = np.linspace(0, np.pi, 12, endpoint=False)
OPTIONS = {"center": 8.2, "pixel_size_mm": 0.05}


def views(rows=5):
    return np.random.default_rng(1).normal(size=(len(ANGLES), rows, 18)).astype(np.float32)


@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_arrays_stay_on_the_device(device, agree, padding):
    found = fbp(device.asarray(views()), ANGLES, filter="hann", padding=padding, **OPTIONS)
    # the kernels' tolerance
    agree(found, fbp(views(), ANGLES, filter="hann", padding=padding, **OPTIONS), 4e-6)


def test_views_that_are_not_finite_are_named(device):
    bad = views()
    bad[7, 2, 3] = np.inf
    with pytest.raises(InputError, match=r"line_integrals: .*view 7"):
        fbp(device.asarray(bad), ANGLES, **OPTIONS)


@pytest.mark.parametrize("gpus", [1, 2])
def test_slabs_join(device, gpus):
    if gpus > device.cuda.runtime.getDeviceCount():
        pytest.skip("there is one GPU")
    seen = []
    found = fbp_gpu.fbp_on_gpus(
        views(7), ANGLES, gpus=gpus, slab=2, progress=lambda *p: seen.append(p), filter="hann", **OPTIONS
    )
    expected = fbp(views(7), ANGLES, filter="hann", **OPTIONS)
    assert abs(found - expected).max() <= 4e-6 * abs(expected).max()
    assert seen[-1] == (7, 7)


def test_devices_share_slabs_and_copy_while_they_compute(fake_cupy, monkeypatch):
    """Four slabs for two threads on each of two devices: every thread has to have taken one before any goes on."""
    meeting, devices = threading.Barrier(4, timeout=30), []
    upload = fbp_gpu._uploaded

    def uploaded(cupy, values, stream):
        devices.append(cupy.cuda.Device().id)
        meeting.wait()
        return upload(cupy, values, stream)

    monkeypatch.setattr(fbp_gpu, "_uploaded", uploaded)
    found = fbp_gpu.fbp_on_gpus(views(8), ANGLES, slab=2, **OPTIONS)
    assert sorted(devices) == [0, 0, 1, 1]
    expected = fbp(views(8), ANGLES, **OPTIONS)
    assert abs(found - expected).max() <= 4e-6 * abs(expected).max()


def test_memory_that_runs_out_makes_slabs_smaller(fake_cupy, cuda_host, monkeypatch):
    """Room for the views of four rows, not of eight."""
    monkeypatch.setattr(cuda_host.Settings, "most_views_bytes", len(ANGLES) * 18 * 4 * 5)
    found = fbp_gpu.fbp_on_gpus(views(16), ANGLES, slab=16, **OPTIONS)
    expected = fbp(views(16), ANGLES, **OPTIONS)
    assert abs(found - expected).max() <= 4e-6 * abs(expected).max()
    assert cuda_host.Settings.refused >= 2


def test_a_device_without_memory_is_said(fake_cupy, cuda_host, monkeypatch):
    monkeypatch.setattr(cuda_host.Settings, "most_views_bytes", 10)
    with pytest.raises(ResourceError, match="one row of 12 views × 18 columns does not fit"):
        fbp_gpu.fbp_on_gpus(views(4), ANGLES, slab=4, **OPTIONS)


def test_a_transform_without_memory_counts_too(fake_cupy):
    with pytest.raises(MemoryError), fbp_gpu._memory_errors():
        raise RuntimeError("CUFFT_ALLOC_FAILED")
    with pytest.raises(RuntimeError), fbp_gpu._memory_errors():
        raise RuntimeError("something else")


def test_slabs_fit_into_the_free_memory(fake_cupy, monkeypatch):
    shape, side = (1800, 2048, 2048), 2048
    for gigabytes in (10, 40, 140):
        monkeypatch.setattr(fake_cupy.cuda.runtime, "memGetInfo", lambda free=gigabytes * 2**30: (free, free))
        rows = fbp_gpu._rows_that_fit(shape, side)
        cost = device_gridding_cost(shape[0], shape[2], side, 4096)
        data = 4 * rows * (shape[0] * shape[2] + side * side)
        needed = fbp_gpu.THREADS_PER_GPU * (data + cost.total(min(rows, BATCH)))
        assert 0.4 * gigabytes < needed / 2**30 < 0.8 * gigabytes
