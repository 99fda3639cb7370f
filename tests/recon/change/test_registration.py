"""Registration of made-up cells with a known motion, of a real volume moved by one, and beside SimpleITK."""

from dataclasses import dataclass

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from scipy.special import ndtr

from deltamu.kernels.warp import warp
from deltamu.recon.change.registration import mask_points, register
from deltamu.recon.change.registration_bodies import compare_bodies
from deltamu.recon.change.registration_pyramid import block_mean, coarse_levels, finest_level, level_factors
from deltamu.recon.change.resampling import resample
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform

SEPARATOR, CATHODE, STEEL, ALUMINIUM, SLEEVE = 2.568, 1.363, 1.286, 0.111, 1.68


@dataclass(frozen=True)
class Cell:
    """Separator, cathode, collector with a radial blind hole, plunger; lengths in voxels."""

    shape: tuple[int, int, int] = (64, 96, 96)
    radius: float = 32.0
    sleeve: float = 40.0
    ends: tuple[float, float, float] = (22.2, 33.7, 54.4)  # of separator, cathode, collector
    hole: float = 5.0
    blur: float = 0.7
    texture: float = 0.03

    @property
    def middle(self) -> np.ndarray:
        return (np.array(self.shape) - 1) / 2

    def attenuation(self, motion=None, cathode=CATHODE):
        """Sampled at the voxels of a cell that was moved by `motion` (in voxels)."""
        z, y, x = np.indices(self.shape, dtype=float)
        if motion is not None:
            z, y, x = np.moveaxis(motion.inverse().apply(np.stack([z, y, x], -1)), -1, 0)
        grain = self.grain(z, y, x)
        y, x = y - self.middle[1], x - self.middle[2]
        stack = SEPARATOR * (1 + grain)
        for end, before, after in zip(
            self.ends, (SEPARATOR, cathode, STEEL), (cathode, STEEL, ALUMINIUM), strict=True
        ):
            stack = stack + (after - before) * self.step(z - end)
        if self.hole:
            to_axis = np.hypot(z - (self.ends[1] + self.ends[2]) / 2, y - 3.0)
            stack = stack * (1 - self.step(self.hole - to_axis) * self.step(x - self.radius / 2))
        r = np.hypot(y, x)
        inside, outside = self.step(self.radius - r), self.step(r - self.sleeve)
        return (stack * inside + ALUMINIUM * outside + SLEEVE * (1 - inside - outside)).astype(np.float32)

    def step(self, distance):
        return ndtr(distance / self.blur)

    def grain(self, z, y, x):
        """Texture of the separator, a sum of waves so that it can be sampled anywhere."""
        rng = np.random.default_rng(3)
        waves = [
            np.sin(rng.normal(0, 0.8) * z + rng.normal(0, 0.8) * y + rng.normal(0, 0.8) * x) for _ in range(6)
        ]
        return self.texture * sum(waves) / 3**0.5

    def fixed_mask(self, margin=3.0):
        """Separator and collector, with their rim and the collector's end."""
        z, y, x = np.indices(self.shape)
        r = np.hypot(y - self.middle[1], x - self.middle[2])
        along = (z < self.ends[0] - margin) | (z > self.ends[1] + margin)
        return (along & (r < self.radius + 4)).astype(np.float32)

    def worst(self, found, truth):
        """Largest displacement error within the pellet, and along z, voxels (a voxel is 1 mm here)."""
        angle = np.linspace(0, 2 * np.pi, 13)
        points = np.array(
            [
                [z, self.middle[1] + self.radius * np.sin(a), self.middle[2] + self.radius * np.cos(a)]
                for z in np.linspace(0, self.shape[0] - 1, 5)
                for a in angle
            ]
        )
        error = found.apply(points) - truth.apply(points)
        return np.linalg.norm(error, axis=1).max(), np.abs(error[:, 0]).max()


CELL = Cell()
MOTION = RigidTransform((2.3, -0.2, 0.15), (1.6, -1.3, 0.7), tuple(CELL.middle))


def noise(shape, sigma, seed):
    return np.float32(sigma) * np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def pristine():
    return CELL.attenuation()


@pytest.fixture(scope="module")
def discharged():
    return CELL.attenuation(MOTION, cathode=CATHODE + 0.945)


def test_misregister_then_register(pristine):
    """T18: the residual is below 0.1 voxel and the separator's difference at the noise floor."""
    sigma = 0.2
    reference = pristine + noise(CELL.shape, sigma, 1)
    moving = CELL.attenuation(MOTION) + noise(CELL.shape, sigma, 2)
    found = register(reference, moving, voxel_size_mm=1.0, mask=CELL.fixed_mask())
    assert found.converged
    assert found.undetermined == ()
    assert CELL.worst(found.transform, MOTION)[0] < 0.1
    change = resample(moving, found.transform, voxel_size_mm=1.0) - reference
    truth = resample(moving, MOTION, voxel_size_mm=1.0) - reference
    separator = (slice(4, 18), slice(26, 70), slice(26, 70))
    # the texture of 3 % shifted by less than a tenth of a voxel adds nothing to a noise of sqrt(2) sigma
    assert change[separator].std() == pytest.approx(truth[separator].std(), rel=0.01)
    assert change[separator].std() < 1.42 * sigma


def test_without_noise_a_changed_layer_does_not_pull(pristine, discharged):
    found = register(pristine, discharged, voxel_size_mm=1.0, mask=CELL.fixed_mask())
    worst, axial = CELL.worst(found.transform, MOTION)
    # what the mask's rim sees of the changed layer through the blur and the smoothing
    assert worst < 0.03
    assert axial < 0.015
    assert found.gain == pytest.approx(1, abs=0.01)


def test_a_changed_layer_inside_the_mask_is_an_outlier(pristine, discharged):
    found = register(
        pristine + noise(CELL.shape, 0.1, 3),
        discharged + noise(CELL.shape, 0.1, 4),
        voxel_size_mm=1.0,
        mask=CELL.fixed_mask(margin=-20),
    )
    assert CELL.worst(found.transform, MOTION)[0] < 0.1


@pytest.mark.parametrize("share", [(0.0, 0.3), (0.3, 0.0), (0.3, 0.3)])
def test_noise_does_not_shift_the_solution_along_the_axis(pristine, discharged, share):
    """Even where only one of the volumes is noisy, which a fitted gain would take for contrast."""
    shifts = []
    for seed in range(3):
        found = register(
            pristine + noise(CELL.shape, share[0], 10 + seed),
            discharged + noise(CELL.shape, share[1], 20 + seed),
            voxel_size_mm=1.0,
            mask=CELL.fixed_mask(),
        )
        middle = np.array([[CELL.ends[2], *CELL.middle[1:]]])
        shifts.append((found.transform.apply(middle) - MOTION.apply(middle))[0, 0])
    # the face of the collector (3200 voxels, step 1.18, blur 0.7) allows 0.01 for one pair at noise 0.3
    assert abs(np.mean(shifts)) < 0.02


def test_uncertainty_is_that_of_repeated_noise(pristine, discharged):
    errors, claimed = [], []
    for seed in range(6):
        found = register(
            pristine + noise(CELL.shape, 0.3, 30 + seed),
            discharged + noise(CELL.shape, 0.3, 40 + seed),
            voxel_size_mm=1.0,
            mask=CELL.fixed_mask(),
        )
        errors.append(CELL.worst(found.transform, MOTION)[0])
        claimed.append(found.residual_voxel)
    # the largest of three components over the pellet, against one standard deviation at its worst point
    assert 0.3 < np.mean(errors) / np.mean(claimed) < 2.5


@pytest.mark.parametrize(
    "motion",
    [
        RigidTransform((6.0, 0.0, 0.0), (4.0, 9.0, -6.0), tuple(CELL.middle)),
        RigidTransform((-6.0, 0.0, 0.0), (-3.0, -8.0, 8.0), tuple(CELL.middle)),
        RigidTransform((2.0, 4.0, -4.0), (3.0, 2.0, 1.0), tuple(CELL.middle)),
    ],
)
def test_capture_range_from_no_motion(motion):
    """6 degrees and 12 voxels, on the whole volume with 0.1 of noise."""
    found = register(
        CELL.attenuation() + noise(CELL.shape, 0.1, 5),
        CELL.attenuation(motion) + noise(CELL.shape, 0.1, 6),
        voxel_size_mm=1.0,
    )
    assert CELL.worst(found.transform, motion)[0] < 0.1


def test_featureless_cylinder_keeps_and_names_its_rotation():
    plain = Cell(hole=0.0, texture=0.0)
    motion = RigidTransform((3.0, 0.3, -0.2), (1.2, -0.8, 0.6), tuple(plain.middle))
    found = register(
        plain.attenuation() + noise(plain.shape, 0.2, 7),
        plain.attenuation(motion) + noise(plain.shape, 0.2, 8),
        voxel_size_mm=1.0,
        mask=plain.fixed_mask(),
    )
    assert found.undetermined == ("rotation_z",)
    assert abs(found.transform.rotation_deg[0]) < 0.05
    top = np.array([[54.0, *plain.middle[1:]]])
    assert np.abs(found.transform.apply(top) - motion.apply(top)).max() < 0.1


def test_featureless_cylinder_without_noise_too():
    plain = Cell(hole=0.0, texture=0.0)
    start = RigidTransform((1.0, 0.0, 0.0), (0.0, 0.0, 0.0), tuple(plain.middle))
    motion = RigidTransform((4.0, 0.0, 0.0), (0.7, -0.8, 0.6), tuple(plain.middle))
    found = register(
        plain.attenuation(),
        plain.attenuation(motion),
        voxel_size_mm=1.0,
        mask=plain.fixed_mask(),
        initial=start,
    )
    assert found.undetermined == ("rotation_z",)
    assert found.transform.rotation_deg[0] == pytest.approx(1.0, abs=0.05)


def test_transform_is_in_millimetres_and_intensities_may_differ(pristine, discharged):
    found = register(
        pristine,
        0.8 * discharged + 0.3,
        voxel_size_mm=0.027,
        moving_voxel_size_mm=0.027,
        mask=CELL.fixed_mask(),
    )
    in_voxels = RigidTransform(
        found.transform.rotation_deg,
        tuple(np.array(found.transform.translation_mm) / 0.027),
        tuple(np.array(found.transform.center_mm) / 0.027),
    )
    assert CELL.worst(in_voxels, MOTION)[0] < 0.03
    assert found.gain == pytest.approx(1 / 0.8, rel=0.01)


def test_voxels_without_value_are_left_out(pristine, discharged):
    reference, moving = pristine.copy(), discharged.copy()
    reference[:, :20, :30] = np.nan
    moving[:, 70:, 40:] = np.nan
    found = register(reference, moving, voxel_size_mm=1.0, mask=CELL.fixed_mask())
    assert CELL.worst(found.transform, MOTION)[0] < 0.1


def test_another_shape_of_the_moving_volume(pristine, discharged):
    cut = discharged[3:, 2:, :-4]
    found = register(pristine, cut, voxel_size_mm=1.0, mask=CELL.fixed_mask())
    back = RigidTransform(
        found.transform.rotation_deg,
        tuple(np.add(found.transform.translation_mm, [3, 2, 0])),
        found.transform.center_mm,
    )
    assert CELL.worst(back, MOTION)[0] < 0.03


def test_a_volume_that_is_read_plane_by_plane_gives_the_same(pristine, discharged):
    class Lazy:
        def __init__(self, array):
            self.array, self.shape = array, array.shape

        def __getitem__(self, rows):
            assert isinstance(rows, slice | int)
            return self.array[rows]

    mask = CELL.fixed_mask()
    eager = register(pristine, discharged, voxel_size_mm=1.0, mask=mask)
    lazy = register(Lazy(pristine), Lazy(discharged), voxel_size_mm=1.0, mask=mask)
    assert lazy.transform == eager.transform


def test_an_end_that_leaves_the_field_aslant(pristine):
    """Smoothed voxels beside the end of a volume know what lies beyond, and the mask there has no fixed rim."""
    motion = RigidTransform((1.0, 5.0, -2.0), (7.0, 1.3, -0.6), tuple(CELL.middle))
    found = register(
        pristine + noise(CELL.shape, 0.1, 61),
        CELL.attenuation(motion, cathode=CATHODE + 0.945) + noise(CELL.shape, 0.1, 62),
        voxel_size_mm=1.0,
        mask=CELL.fixed_mask(),
        search_deg=0.0,
    )
    worst, _ = CELL.worst(found.transform, motion)
    assert found.converged
    assert found.iterations < 60
    # the far end of the pellet, four standard deviations at most
    assert worst < min(0.1, 4 * found.residual_voxel)


def test_housing_that_moved_otherwise_is_found(pristine):
    moved = CELL.attenuation(MOTION)
    still = np.hypot(*(np.indices(CELL.shape)[1:] - CELL.middle[1:, None, None, None])) > CELL.radius + 4
    z = np.indices(CELL.shape)[0]
    # a notch and end faces give the housing a place of its own
    notch = ((np.abs(z - 30) < 6) & (np.indices(CELL.shape)[1] > 85)).astype(np.float32)
    reference = np.where(still, pristine + ndimage.gaussian_filter(notch, 1), pristine)
    moving = np.where(still, reference, moved)
    mask = CELL.fixed_mask()
    used = register(reference, moving, voxel_size_mm=1.0, mask=mask)
    housing = register(reference, moving, voxel_size_mm=1.0, mask=still.astype(np.float32))
    check = compare_bodies(used, housing, voxel_size_mm=1.0, within=mask)
    # the housing did not move at all: the disagreement is the motion itself, its slip along the axis told apart
    points = mask_points(mask)
    moved_by = MOTION.apply(points) - points
    slip = moved_by[:, 0].mean()
    moved_by[:, 0] -= slip
    # where the two information matrices pull, a rotation is partly a shift: a tenth of the motion
    assert check.slip_mm == pytest.approx(slip, abs=0.3)
    assert check.max_voxel == pytest.approx(np.linalg.norm(moved_by, axis=1).max(), abs=0.3)
    assert compare_bodies(used, used, voxel_size_mm=1.0, within=mask).max_voxel < 1e-6


def test_pyramid_levels_know_where_they_are():
    """A point that a level finds at an index is where the full volume has it, crops included."""
    shape = (40, 100, 90)
    z, y, x = np.indices(shape, dtype=np.float32)
    ramp = z + 1000 * y + 100000 * x
    mask = np.zeros(shape, np.float32)
    mask[12:30, 40:71, 33:55] = 1
    shift = np.column_stack([np.eye(3), [1.0, 2.0, 3.0]])
    levels = coarse_levels(ramp, ramp, mask)
    assert levels[-1].factors == level_factors(shape)[-1] == (2, 2, 2)
    levels.append(finest_level(ramp, ramp, mask, shift, factors=(1, 1, 1), presmooth=0.0))
    levels.append(finest_level(ramp, ramp, mask, shift, factors=(2, 2, 2), presmooth=0.0))
    for level in levels:
        affine = level.index_affine(shift)
        moved = warp(level.moving, affine, output_shape=level.reference.shape)
        difference = (moved - level.reference)[level.weights > 0]
        # float32 holds numbers of 1e7 to within 1
        np.testing.assert_allclose(difference, 1 + 2000 + 300000, atol=4)
        assert level.weights.sum() * np.prod(level.factors) == pytest.approx(mask.sum())


def test_block_mean_is_a_mean():
    volume = np.random.default_rng(0).random((37, 10, 11)).astype(np.float32)
    expected = volume[:36, :10, :10].reshape(18, 2, 5, 2, 5, 2).mean((1, 3, 5))
    np.testing.assert_allclose(block_mean(volume, (2, 2, 2)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reference": np.zeros((4, 20, 20), np.float32)}, "reference"),
        ({"moving": np.zeros((20, 20), np.float32)}, "moving"),
        ({"moving": np.full((20, 20, 20), 2.0, np.float32)}, "moving: found the constant 2"),
        ({"reference": np.full((20, 20, 20), 2.0, np.float32)}, "reference: every voxel"),
        ({"reference": np.full((20, 20, 20), np.nan, np.float32)}, "reference: no voxel"),
        ({"moving": np.full((20, 20, 20), np.nan, np.float32)}, "moving: found no finite"),
        ({"mask": np.zeros((20, 20, 20), np.float32)}, "mask: found no voxel"),
        ({"mask": np.zeros((20, 20, 21), np.float32)}, "mask: found shape"),
        ({"voxel_size_mm": 0.0}, "voxel_size_mm"),
        ({"moving_voxel_size_mm": 0.05}, "moving_voxel_size_mm"),
        (
            {"initial": RigidTransform((0, 0, 0), (500.0, 0, 0), (0, 0, 0)), "search_deg": 0.0},
            "moving: .* lies .* ?(inside|outside)",
        ),
    ],
)
def test_bad_input_is_named(change, words):
    ball = np.linalg.norm(np.indices((20, 20, 20)) - 9.5, axis=0) < 6
    good = {"reference": ball.astype(np.float32), "moving": ball.astype(np.float32), "voxel_size_mm": 1.0}
    arguments = good | change
    with pytest.raises(InputError, match=words):
        register(arguments.pop("reference"), arguments.pop("moving"), **arguments)


@pytest.mark.slow
def test_real_battery_moved_by_a_known_motion(deltamu_data):
    path = deltamu_data / "battery_cell_xray" / "cell_vol_041_072.tif"
    volume = tifffile.imread(path).astype(np.float32)[:, 100:600, 100:600]
    middle = tuple((np.array(volume.shape) - 1) / 2)
    motion = RigidTransform((1.5, 0.1, -0.1), (0.8, 4.3, -3.6), middle)
    back = motion.inverse().index_affine(1.0, 1.0)
    moving = warp(volume, back, output_shape=volume.shape, order=3)
    contrast = float(volume.std())
    for array, seed in ((volume, 1), (moving, 2)):
        array += noise(volume.shape, 0.2 * contrast, seed)
    mask = np.zeros(volume.shape, np.float32)
    mask[4:-4, 20:-20, 20:-20] = 1
    found = register(volume, moving, voxel_size_mm=1.0, mask=mask)
    points = mask_points(mask)
    error = np.linalg.norm(found.transform.apply(points) - motion.apply(points), axis=1)
    assert error.max() <= 0.05


def simpleitk_motion(sitk, reference, moving, start):
    """Where SimpleITK's mean squares take points, started at a motion (None: no motion)."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(0.5, 1e-5, 300, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(c) for c in CELL.middle[::-1]])
    if start is not None:
        middle = CELL.middle
        transform.SetMatrix([float(v) for v in start.matrix[::-1, ::-1].ravel()])
        transform.SetTranslation([float(v) for v in (start.apply(middle) - middle)[::-1]])
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(sitk.GetImageFromArray(reference), sitk.GetImageFromArray(moving))
    matrix = np.array(transform.GetMatrix()).reshape(3, 3)[::-1, ::-1]
    shift = np.array(transform.GetTranslation())[::-1]
    return lambda points: (points - CELL.middle) @ matrix.T + CELL.middle + shift


@pytest.mark.slow
def test_agrees_with_simpleitk(pristine):
    sitk = pytest.importorskip("SimpleITK")
    reference = pristine + noise(CELL.shape, 0.05, 1)
    moving = CELL.attenuation(MOTION) + noise(CELL.shape, 0.05, 2)
    points = mask_points(CELL.fixed_mask())
    truth = MOTION.apply(points)

    def error(found):
        return np.linalg.norm(found - truth, axis=1).max()

    ours = register(reference, moving, voxel_size_mm=1.0).transform.apply(points)
    theirs = simpleitk_motion(sitk, reference, moving, MOTION)(points)
    # its short steps end within some hundredths of a voxel of its optimum
    assert np.linalg.norm(ours - theirs, axis=1).max() < 0.1
    assert error(ours) <= max(error(theirs), 0.02)
    # from no motion it may stop on the way
    assert error(ours) <= error(simpleitk_motion(sitk, reference, moving, None)(points))


@pytest.mark.slow
def test_neutrons_and_x_rays_of_a_shell_by_mutual_information(deltamu_data):
    """A known turn of 5 degrees and shift of 8 pixels of the X-ray slice come back to 0.3 pixel.

    The stored slices are turned by 3.4 degrees against each other, so the motion is told by two registrations.
    """
    folder = deltamu_data / "shell_neutron_xray"
    neutrons, x_rays = (np.load(folder / f"shell{kind}.npy").astype(np.float32) for kind in "NX")
    # a frame of zeros from an earlier turn is no measurement
    neutrons[ndimage.binary_dilation(neutrons == 0, iterations=3)] = np.nan
    reference, moving = (np.repeat(slice_[None], 8, axis=0) for slice_ in (neutrons, x_rays))
    middle = tuple((np.array(reference.shape) - 1) / 2)
    motion = RigidTransform((5.0, 0.0, 0.0), (0.0, 8.0, 0.0), middle)
    moved = warp(moving, motion.inverse().index_affine(1.0, 1.0), output_shape=moving.shape, order=3)
    stored, found = (
        register(reference, volume, voxel_size_mm=1.0, metric="mutual-information")
        for volume in (moving, moved)
    )
    assert set(found.undetermined) == {"translation_z", "rotation_y", "rotation_x"}
    shell = np.argwhere(neutrons > np.nanpercentile(neutrons, 70))[::500]
    points = np.column_stack([np.full(len(shell), middle[0]), shell])
    error = found.transform.apply(points) - motion.apply(stored.transform.apply(points))
    assert np.linalg.norm(error, axis=1).max() <= 0.3


def test_unknown_metric_is_refused(pristine):
    with pytest.raises(InputError, match="metric: found 'entropy', expected one of squared-difference"):
        register(pristine, pristine, voxel_size_mm=1.0, metric="entropy")


def test_half_resolution_knows_as_many_parameters(pristine, discharged):
    reference, moving = pristine + noise(CELL.shape, 0.1, 71), discharged + noise(CELL.shape, 0.1, 72)
    fine, coarse = (
        register(
            reference, moving, voxel_size_mm=1.0, mask=CELL.fixed_mask(), search_deg=0.0, stop_level=level
        )
        for level in (0, 1)
    )
    assert coarse.undetermined == fine.undetermined == ()
    # coarser voxels do not tell more
    ratio = np.array(list(coarse.uncertainty.values())) / np.array(list(fine.uncertainty.values()))
    assert np.all(ratio > 1)
    # the mean of two voxels places these edges, as sharp as a voxel, to a tenth of a voxel
    assert CELL.worst(coarse.transform, MOTION)[0] < 0.15
