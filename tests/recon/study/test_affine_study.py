"""A study whose state is stretched by half a per cent, from volumes drawn from their formula."""

import json

import numpy as np
import pytest
from scipy import special

from deltamu.recon.cli import main
from deltamu.recon.errors import InputError
from deltamu.recon.report.load import load_report_content
from deltamu.recon.report.registration_table import registration_table
from deltamu.recon.study import change_chain, depth_profiles, pipeline
from deltamu.recon.study.layer_images import write_layers
from deltamu.recon.study.settings import read_study
from deltamu.recon.volumes.open import open_image
from deltamu.viewers.overlay import Overlay

pytestmark = pytest.mark.slow

VOXEL_MM, SHAPE, AXIS, RADIUS, BLUR = 0.03, (84, 76, 76), 37.4, 28.0, 0.9
ORDER = ("collector_a", "anode", "separator", "cathode", "collector_c", "plunger")
FACES = (6.2, 15.4, 24.3, 38.6, 54.1, 70.3, 77.6)
LEVELS = (1.3, 0.6, 2.6, 1.4, 1.3, 0.2)
STRETCH = 1.005


def drawn(stretch, seed, *, change=0.0):
    """Draw the stack stretched along the axis about row 42; texture with random phases is held to the body."""
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    own = (z - 42) / stretch + 42
    rim = 0.5 * (1 - special.erf((np.hypot(y - AXIS, x - AXIS) - RADIUS) / BLUR))
    steps = [0.5 * (1 + special.erf((own - face) / BLUR)) for face in FACES]
    levels = np.array(LEVELS)
    levels[3] += change
    body = sum(level * (a - b) for level, a, b in zip(levels, steps, steps[1:], strict=False))
    waves = np.random.default_rng(4).uniform(-0.6, 0.6, (12, 3))
    body += 0.05 * sum(np.sin(own * a + y * b + x * c + a * 40) for a, b, c in waves)
    values = rim * body + 0.05 * np.random.default_rng(seed).standard_normal(SHAPE)
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("affine")
    np.save(folder / "pristine.npy", drawn(1.0, 1))
    np.save(folder / "swollen.npy", drawn(STRETCH, 2, change=0.4))
    thickness = [round(VOXEL_MM * float(t), 4) for t in np.diff(FACES)]
    (folder / "study.toml").write_text(
        f"""name = "stretched"
reference = "pristine"
changes = ["swollen-pristine"]
[states.pristine]
volume = "pristine.npy"
unit = "cm^-1"
voxel_size_mm = {VOXEL_MM}
[states.swollen]
volume = "swollen.npy"
unit = "cm^-1"
voxel_size_mm = {VOXEL_MM}
[layers]
order = {json.dumps(ORDER)}
thickness_mm = {thickness}
radius_mm = {RADIUS * VOXEL_MM}
cathode = "cathode"
separator = "separator"
[registration]
model = "affine"
"""
    )
    assert main(["check", str(folder / "study.toml")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        skip_what_is_not_asked(patch)
        assert main(["run", str(folder / "study.toml")]) == 0
        yield folder / "study.toml"


def skip_what_is_not_asked(patch):
    """Leave the nominal stack in its place, and draw no figures."""

    def place(context, stack, registered):
        write_layers(context, stack, context.study.layers, "nominal")
        return stack

    patch.setattr(change_chain, "locate_layers", place)
    patch.setattr(pipeline, "write_report", lambda output: None)
    patch.setattr(depth_profiles, "state_thickness", lambda *args: None)


def summary_of(study):
    return json.loads((study.parent / "result" / "summary.json").read_text())


def test_the_stretch_is_found_reported_and_taken_out(study):
    found = summary_of(study)["registration"]["swollen"]
    strain, error = np.array(found["strain"]), found["strain_standard_error"]
    assert found["model"] == "affine"
    # 0.5 % moves the ends of the mask by 0.15 voxel; a standard error of a tenth of that is asked for, and three of it
    assert 0 < error[0][0] < 1e-3
    assert abs(strain[0, 0] - (STRETCH - 1)) < 3 * error[0][0]
    assert found["volume_factor"] == pytest.approx(float(np.linalg.det(np.eye(3) + strain)))
    # outside the cathode nothing changed: what is left of faces and texture is noise, seen apart from interpolation
    store = study.parent / "result" / "study.zarr"
    left = open_image(store / "registered/swollen/attenuation").read() - np.load(
        study.parent / "pristine.npy"
    )
    held = [slice(27, 36), slice(59, 68)]
    spread = np.concatenate([left[rows, 20:56, 20:56].ravel() for rows in held]).std()
    assert spread < 1.05 * 0.05 * 2**0.5
    table = registration_table(load_report_content(study.parent / "result"))
    rows = dict(row[:2] for row in table.rows)
    assert rows["stretch along z (%)"].startswith("+0.")
    assert "without the volume factor" in table.note


def test_the_viewer_shows_the_state_with_its_stretch(study):
    overlay = Overlay(study.parent / "result")
    motion = overlay.transform("swollen")
    expected = np.array(summary_of(study)["registration"]["swollen"]["strain"])
    np.testing.assert_allclose(motion.strain, expected)
    # a point a thickness away from row 42 moves half a per cent of the way
    moved = motion.apply(np.array([70.0, 37, 37]) * VOXEL_MM) / VOXEL_MM
    assert moved[0] == pytest.approx(42 + 28 * STRETCH, abs=0.03)
    assert np.isfinite(overlay.moved_plane("swollen", "xz", overlay.focus_mm, motion)).any()


def test_a_changed_model_registers_again(study):
    study.write_text(study.read_text().replace('model = "affine"', 'model = "rigid"'))
    assert main(["run", str(study)]) == 0
    assert "strain" not in summary_of(study)["registration"]["swollen"]


@pytest.mark.parametrize(
    ("line", "words"),
    [('model = "afine"', "model"), ('model = "affine"\nmetric = "mutual-information"', "squared-difference")],
)
def test_a_model_that_cannot_be_is_refused(study, line, words):
    bad = study.with_name("bad.toml")
    text = study.read_text()
    bad.write_text(text[: text.index("[registration]")] + f"[registration]\n{line}\n")
    with pytest.raises(InputError, match=words):
        read_study(bad)
