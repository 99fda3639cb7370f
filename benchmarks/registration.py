"""How well a re-mounted cell is laid over itself, and how fast beside SimpleITK.

python benchmarks/registration.py [--cases 50] [--toy] [--speed-only | --accuracy-only] [--output FOLDER]

Accuracy: the pristine cell stands as in the first scan of `deltamu demo`; the discharged one (with its lithium, and its
stack 10 µm further down the bore) is turned by up to 10° about any axis and shifted by up to 20 voxels in any direction.
Both are drawn from the phantom's formulas at half a voxel in their own pose, never resampled, and blurred as detector,
pixel and filter blur them. Their noise is the filtered back-projection (Hann) of the noise of 625 views: counts behind the
chords of every layer, sleeve and housing, light spread, 40 open-beam frames and a gain drift that all views share; a few
such volumes, turned by quarter turns and mirrored, serve all cases, no pair twice. Stack and housing are registered and
joined as a study does it. Not in it: streaks of the starved anode, rings of dead pixels, an error of the axis.

Speed: sixty noisy balls in 256³ voxels, turned by 2° and shifted by some voxels, beside SimpleITK's Mattes mutual information at 2 %
samples (three levels), in one run.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
from remounted_cell import RemountedCell, counting_noise, draw
from scipy import special

from deltamu.kernels.backend import thread_count
from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.masks import layer_mask
from deltamu.recon.change.registration import Registration, register
from deltamu.recon.change.registration_bodies import compare_bodies, join_bodies
from deltamu.recon.change.registration_information import PARAMETERS
from deltamu.recon.change.stack import find_stack
from deltamu.recon.geometry import RigidTransform, from_matrix
from deltamu.recon.simulate.cell import Cell
from deltamu.recon.simulate.poses import field_middle_mm
from deltamu.recon.simulate.presets import PRESETS, Preset

RESULTS = Path(__file__).parent / "results"
MOST_DEG, MOST_VOXELS = 10.0, 20.0
NOISES = 5
HELD = ("separator", "collector_c", "plunger_c")
# as deltamu.recon.study.registering keeps from layers that change, and from rows that are starved
MARGIN_VOXELS, STREAK_VOXELS = 4, 8
# part of the mask that must stay in the field for the collector's end, the one step along the axis, to be seen
INSIDE = 0.95
TOY = Preset(rows=64, columns=256, views=300, pixel_size_mm=0.054, counts=24_000)
ITK_SAMPLES, ITK_ITERATIONS = 0.02, 200


@dataclass(frozen=True)
class Pair:
    """A reference with its masks, a moving volume, and the true motion between them."""

    scene: RemountedCell
    reference: np.ndarray
    moving: np.ndarray
    masks: "Masks"
    motion: RigidTransform

    @property
    def truth(self) -> RigidTransform:
        """Motion of separator, cathode and collector."""
        return self.scene.truth(self.motion)


@dataclass(frozen=True)
class Masks:
    """Weights of the stack and of the ring around it, found in the reference as a study finds them."""

    stack: np.ndarray
    housing: np.ndarray


@dataclass(frozen=True)
class Case:
    """A registration against the truth: largest error at the pellet's rim, and along the axis, voxels."""

    error: float
    axial: float
    pulls: tuple[float, ...]
    stated: float
    overlap: float
    converged: bool
    seconds: float


def pairs(scene: RemountedCell, count: int, seed: int) -> Iterator[Pair]:
    """Draw one random motion after the other."""
    fields = {state: scene.field(state) for state in ("pristine", "discharged")}
    noises = {
        state: [
            counting_noise(scene, field, np.random.default_rng([seed, index, part]))
            for part in range(min(count, NOISES))
        ]
        for index, (state, field) in enumerate(fields.items())
    }
    with ThreadPoolExecutor() as pool:
        clean = draw(scene, fields["pristine"], scene.pose(), pool)
        masks = find_masks(scene, clean + noises["pristine"][0])
        for number in range(count):
            motion = random_motion(scene, np.random.default_rng([seed, 2, number]))
            moving = draw(scene, fields["discharged"], motion @ scene.pose(), pool)
            moving += turned(noises["discharged"], number)
            # another turn for every round through the list: no pair of noises comes twice
            reference = clean + turned(noises["pristine"], number + number // NOISES)
            yield Pair(scene, reference, moving, masks, motion)


def turned(noises: list[np.ndarray], number: int) -> np.ndarray:
    """One of the noises, turned about the axis by quarter turns and mirrored."""
    turns = number // len(noises)
    noise = np.rot90(noises[number % len(noises)], turns % 4, axes=(1, 2))
    return noise[:, :, ::-1] if turns // 4 % 2 else noise


def random_motion(scene: RemountedCell, rng: np.random.Generator) -> RigidTransform:
    """Turn about any axis through the middle, shift in any direction."""
    axis, direction = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 3)))
    turn = rng.uniform(0, MOST_DEG) * axis
    shift = rng.uniform(0, MOST_VOXELS) * scene.voxel_mm * direction
    middle = field_middle_mm(scene.preset) - scene.start * scene.voxel_mm
    return RigidTransform(tuple(turn), tuple(shift), tuple(middle))


def find_masks(scene: RemountedCell, reference: np.ndarray) -> Masks:
    """Weight separator and collector, and apart from them the sleeve's outside with the other collector."""
    known = scene.builder.describe(Path())
    stack = find_stack(
        reference, voxel_size_mm=scene.voxel_mm, order=known.layer_order, separator="separator",
        thickness_mm=known.layer_thickness_mm, radius_mm=known.pellet_radius_mm,
    )  # fmt: skip
    held = layer_mask(stack, HELD, reference.shape, margin_mm=MARGIN_VOXELS * scene.voxel_mm)
    return Masks(held, _housing_mask(stack, reference.shape))


def _housing_mask(stack: LayerStack, shape: tuple[int, ...]) -> np.ndarray:
    size, reach = stack.voxel_size_mm, STREAK_VOXELS * stack.voxel_size_mm
    y, x = (np.arange(n) * size - a for n, a in zip(shape[1:], stack.axis_mm, strict=True))
    ring = (np.hypot(y[:, None], x) >= Cell().sleeve_mm - 3 * size).astype(np.float32)
    ends = sorted(surface.coefficients[0] for surface in (stack["anode"].near, stack["anode"].far))
    z = np.arange(shape[0]) * size
    weights = ring * ((z < ends[0] - reach) | (z > ends[1] + reach)).astype(np.float32)[:, None, None]
    return np.maximum(weights, layer_mask(stack, ("plunger_a", "collector_a"), shape, margin_mm=reach))


def judge(pair: Pair) -> Case:
    """Register as a study does and compare with the truth."""
    start = time.perf_counter()
    found = register_both(pair)
    seconds = time.perf_counter() - start
    apart = found.transform.apply(pellet_rim(pair.scene)) - pair.truth.apply(pellet_rim(pair.scene))
    apart /= pair.scene.voxel_mm
    # the small motion that leads from where the registration ends to the truth, about its own centre
    left = found.transform.inverse() @ pair.truth.about(found.transform.center_mm)
    pulls = np.array([*left.translation_mm, *left.rotation_deg]) / np.sqrt(np.diag(found.covariance))
    return Case(
        error=float(np.linalg.norm(apart, axis=1).max()),
        axial=float(np.abs(apart[:, 0]).max()),
        pulls=tuple(float(pull) for pull in pulls),
        stated=found.residual_voxel,
        overlap=found.overlap,
        converged=found.converged,
        seconds=seconds,
    )


def register_both(pair: Pair) -> Registration:
    """Register the stack, then the housing from there, and join them where they agree."""
    size = pair.scene.voxel_mm
    body = register(
        pair.reference, pair.moving, voxel_size_mm=size, mask=pair.masks.stack, search_deg=MOST_DEG
    )
    housing = register(
        pair.reference, pair.moving, voxel_size_mm=size, mask=pair.masks.housing, initial=body.transform,
        search_deg=0.0, stop_level=1,
    )  # fmt: skip
    compared = compare_bodies(body, housing, voxel_size_mm=size, within=pair.masks.stack)
    return join_bodies(body, housing, voxel_size_mm=size, within=pair.masks.stack) if compared.agree else body


def pellet_rim(scene: RemountedCell) -> np.ndarray:
    """Points in the reference around separator and cathode: a rigid error is largest on the hull."""
    cell = Cell()
    heights = cell.separator_start_mm + np.array([0, cell.separator_mm, cell.separator_mm + cell.cathode_mm])
    azimuth = np.arange(72) * (2 * np.pi / 72)
    rim = [(z, cell.radius_mm * np.sin(a), cell.radius_mm * np.cos(a)) for z in heights for a in azimuth]
    return scene.pose().apply(np.array(rim))


def accuracy_table(cases: list[Case]) -> str:
    """What came out, of all motions and of those that leave the mask in the field, as tables."""
    inside = [case for case in cases if case.overlap >= INSIDE]
    parts = [f"{len(cases)} motions:", _error_table(cases)]
    if inside and len(inside) < len(cases):
        parts += [
            f"The {len(inside)} of them that leave at least {INSIDE:.0%} of the mask in the field:",
            _error_table(inside),
        ]
    parts.append(
        f"Time of a registration, stack and housing: {statistics.median(c.seconds for c in cases):.1f} s (median)."
    )
    return "\n\n".join(parts)


def _error_table(cases: list[Case]) -> str:
    rows = {"largest error at the pellet's rim": "error", "along the axis": "axial"}
    lines = ["| (voxel) | median | 90 % | worst |", "|---|---|---|---|"]
    for title, name in rows.items():
        values = np.array([getattr(case, name) for case in cases])
        lines.append(
            f"| {title} | {np.median(values):.4f} | {np.quantile(values, 0.9):.4f} | {values.max():.4f} |"
        )
    held = np.abs([case.pulls for case in cases]) < 1.96
    shares = ", ".join(
        f"{name} {share:.0%}" for name, share in zip(PARAMETERS, held.mean(axis=0), strict=True)
    )
    return "\n".join(lines) + f"\n\n95 % intervals that hold the truth: {held.mean():.1%} ({shares})."


def our_seconds(
    reference: np.ndarray, moving: np.ndarray, *, stop_level: int
) -> tuple[float, RigidTransform]:
    """Register from no motion, down to a level of the pyramid."""
    start = time.perf_counter()
    found = register(reference, moving, voxel_size_mm=1.0, stop_level=stop_level)
    return time.perf_counter() - start, found.transform


def mattes_seconds(reference: np.ndarray, moving: np.ndarray) -> tuple[float, RigidTransform]:
    """Register by SimpleITK: Mattes mutual information, 2 % of the voxels, three levels."""
    import SimpleITK as sitk

    images = [sitk.GetImageFromArray(volume) for volume in (reference, moving)]
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(ITK_SAMPLES, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, ITK_ITERATIONS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    middle = (np.array(reference.shape) - 1) / 2
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(c) for c in middle[::-1]])
    method.SetInitialTransform(transform, inPlace=True)
    start = time.perf_counter()
    method.Execute(*images)
    seconds = time.perf_counter() - start
    matrix = np.array(transform.GetMatrix()).reshape(3, 3)[::-1, ::-1]
    return seconds, from_matrix(matrix, np.array(transform.GetTranslation())[::-1], tuple(middle))


def speed_table(side: int, seed: int) -> str:
    """Both programs on one pair of cubes of noisy balls, drawn from their formula."""
    reference, moving, truth = balls(side, seed)
    middle = (side - 1) / 2
    corners = middle + 0.3 * side * np.array([[z, y, x] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)])
    programs = {
        "SimpleITK Mattes, 2 %": mattes_seconds,
        "deltamu register": partial(our_seconds, stop_level=0),
        "deltamu register, half resolution": partial(our_seconds, stop_level=1),
        "deltamu register, quarter resolution": partial(our_seconds, stop_level=2),
    }
    lines = ["| program | seconds | times faster than Mattes | largest error (voxel) |", "|---|---|---|---|"]
    mattes = 0.0
    for name, measure in programs.items():
        seconds, found = measure(reference, moving)
        mattes = mattes or seconds
        error = np.linalg.norm(found.apply(corners) - truth.apply(corners), axis=1).max()
        lines.append(f"| {name} {_version(name)} | {seconds:.2f} | {mattes / seconds:.1f} | {error:.4f} |")
    return "\n".join(lines)


def _version(name: str) -> str:
    return metadata.version("SimpleITK" if "ITK" in name else "deltamu")


def balls(side: int, seed: int) -> tuple[np.ndarray, np.ndarray, RigidTransform]:
    """Sixty smooth-edged balls in noise, before and after a motion."""
    rng = np.random.default_rng(seed)
    middle = np.full(3, (side - 1) / 2)
    truth = RigidTransform((2.0, -0.7, 0.5), (0.02 * side, -0.012 * side, 0.008 * side), tuple(middle))
    places = middle + side * rng.uniform(-0.35, 0.35, (60, 3))
    radii, values = side * rng.uniform(0.03, 0.09, 60), rng.uniform(0.5, 2.5, 60)

    def volume(centers: np.ndarray) -> np.ndarray:
        found = 0.3 * rng.standard_normal((side,) * 3, dtype=np.float32)
        for center, radius, value in zip(centers, radii, values, strict=True):
            part = tuple(slice(max(0, int(c - radius - 4)), int(c + radius + 5)) for c in center)
            grid = np.ogrid[tuple(slice(p.start, min(p.stop, side)) for p in part)]
            distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)))
            # an edge with the blur of a detector
            found[part] += (value * special.ndtr((radius - distance) / 0.8)).astype(np.float32)
        return found

    return volume(places), volume(truth.apply(places)), truth


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "threads": thread_count(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write the tables."""
    options = _options(arguments)
    name = "registration_toy" if options.toy else "registration"
    cases = [] if options.speed_only else list(_measured(options))
    parts = ["# Registration", ", ".join(f"{key} {value}" for key, value in machine().items())]
    parts += [accuracy_table(cases)] if cases else []
    parts += [] if options.accuracy_only else [speed_table(64 if options.toy else 256, options.seed)]
    record = {"machine": machine(), "cases": [asdict(case) for case in cases]}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (options.output / f"{name}.md").write_text("\n\n".join(parts) + "\n")
    print("\n\n".join(parts))


def _measured(options: argparse.Namespace) -> Iterator[Case]:
    scene = RemountedCell(TOY, 180) if options.toy else RemountedCell(PRESETS["small"], 360)
    for number, pair in enumerate(pairs(scene, options.cases, options.seed)):
        case = judge(pair)
        print(f"{number + 1}: {case.error:.4f} voxel, along the axis {case.axial:.4f}", flush=True)
        yield case


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--toy", action="store_true", help="half the detector, a cube of 64 voxels")
    parser.add_argument("--speed-only", action="store_true")
    parser.add_argument("--accuracy-only", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
