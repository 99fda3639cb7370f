"""The devices that GPU code is tried on: the CPU in place of one, and a real one where there is one."""

import importlib

import pytest

from deltamu.kernels.gpu_checks import gpu_problem


@pytest.fixture(params=["forward", "reversed", "gpu"])
def device(request):
    """CuPy, or its stand-in with the threads of a launch in ascending and in descending order."""
    if request.param == "gpu":
        if problem := gpu_problem():
            pytest.skip(problem)
        return importlib.import_module("cupy")
    cuda_host = request.getfixturevalue("cuda_host")
    request.getfixturevalue("monkeypatch").setattr(
        cuda_host.Settings, "reversed", request.param == "reversed"
    )
    return request.getfixturevalue("fake_cupy")


@pytest.fixture
def agree():
    """Compare a device's array with the CPU's, relative to the largest value: CuPy flushes tiny numbers to zero."""
    return _agree


def _agree(on_device, on_cpu, tolerance):
    found, expected = on_device.get().astype(float), on_cpu.astype(float)
    assert found.shape == expected.shape
    assert (found != found).tolist() == (expected != expected).tolist(), "NaN in other places"
    scale = abs(expected[expected == expected]).max(initial=0)
    error = abs(found - expected)[expected == expected].max(initial=0)
    assert error <= tolerance * scale, f"{error / scale:.1e} of the largest value"
