import numpy as np
import pytest

from deltamu.recon.change.blurred_layers import blurred_layer_powers


@pytest.mark.parametrize("bounds", [(-0.4, 0.7), (None, 0.2), (-0.1, None), (None, None)])
def test_blurred_powers_are_the_convolution(bounds: tuple[float | None, float | None]) -> None:
    """Closed form against the integral ∫ t^j·G(z − t) dt over the layer."""
    width, z = 0.23, np.linspace(-1.2, 1.2, 17)
    lower, upper = bounds
    # ten widths beyond the outermost z: what is cut off is below 1e-20
    t = np.linspace(-4 if lower is None else lower, 4 if upper is None else upper, 40001)
    kernel = np.exp(-0.5 * ((z[:, None] - t) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    arrays = [None if edge is None else np.full(z.size, edge) for edge in bounds]
    for power, found in enumerate(blurred_layer_powers(z, arrays[0], arrays[1], width, 6)):
        expected = np.trapezoid(kernel * t**power, t, axis=1)
        # the trapezoid rule at steps of 2e-4 of a width of 0.23: (step/width)² / 12 = 6e-8
        np.testing.assert_allclose(found, expected, atol=5e-6)
