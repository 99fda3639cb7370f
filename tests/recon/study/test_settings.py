import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.study.settings import read_study, settings_text, split_change

STUDY = """
name = "cell"
reference = "pristine"
changes = ["discharged-pristine"]

[scan]
pixel_size_mm = 0.027

[states.pristine]
scan = "raw/pristine"

[states.discharged]
scan = "raw/discharged.nxs"
crop_rows = [0, 64]

[layers]
order = ["separator", "cathode", "collector"]
thickness_mm = [0.5, 0.4, 0.9]
radius_mm = 3.0
"""


def written(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def problem(tmp_path, text):
    with pytest.raises(InputError) as caught:
        read_study(written(tmp_path, text))
    message = str(caught.value)
    assert "study.toml" in message
    assert "\n" not in message
    return message


def test_a_scan_takes_the_common_options_and_its_own(tmp_path):
    study = read_study(written(tmp_path, STUDY))
    options = study.scan_options("discharged")
    assert options.pixel_size_mm == 0.027
    assert options.crop_rows == (0, 64)
    assert study.scan_options("pristine").crop_rows is None
    assert study.state_path("pristine") == tmp_path / "raw" / "pristine"
    assert study.layers.collector == "collector"


def test_what_is_resolved_reads_back_as_the_same_study(tmp_path):
    study = read_study(written(tmp_path, STUDY))
    again = read_study(written(tmp_path, settings_text(study)))
    assert again.model_dump(exclude={"states", "output"}) == study.model_dump(exclude={"states", "output"})
    assert again.output_dir == study.output_dir
    for state in study.states:
        assert again.scan_options(state) == study.scan_options(state)
        assert again.state_path(state) == study.state_path(state)


@pytest.mark.parametrize(
    ("change", "named", "suggested"),
    [
        (("[scan]", "[scan]\npixelsize_mm = 1"), "scan.pixelsize_mm", "pixel_size_mm"),
        (("radius_mm", "radiusmm"), "layers.radiusmm", "radius_mm"),
        (("reference =", "referense ="), "referense", "reference"),
        (("crop_rows", "croprows"), "states.discharged.croprows", "crop_rows"),
        (('["discharged-pristine"]', '["charged-pristine"]'), "charged", "discharged"),
        (('reference = "pristine"', 'reference = "pristin"'), "pristin", "pristine"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(tmp_path, change, named, suggested):
    message = problem(tmp_path, STUDY.replace(*change))
    assert named in message
    assert f"did you mean '{suggested}'" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[states.discharged]", "[states.pristine]"), "twice"),
        (("[states.discharged]", '[states."dis-charged"]'), "dis_charged"),
        (("discharged-pristine", "pristine-pristine"), "two different states"),
        (("discharged-pristine", "discharged"), "to-from"),
        (("[0.5, 0.4, 0.9]", "[0.5, 0.4]"), "thickness_mm has 2"),
        (("[0.5, 0.4, 0.9]", "[0.5, -0.4, 0.9]"), "-0.4"),
        (('"cathode", "collector"', '"cathod", "collector"'), "cathode"),
        (('scan = "raw/pristine"', 'scan = "a"\nvolume = "b"'), "either"),
        (("[layers]", "[layers"), "TOML"),
        (("radius_mm = 3.0", "radius_mm = nan"), "radius_mm"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, change, words):
    assert words in problem(tmp_path, STUDY.replace(*change))


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(InputError, match="deltamu new"):
        read_study(tmp_path / "study.toml")


def test_a_change_is_to_minus_from():
    assert split_change("charged-pristine") == ("charged", "pristine")


VOLUMES = """
reference = "pristine"
changes = ["discharged-pristine"]
[states.pristine]
volume = "a.npy"
voxel_size_mm = 0.027
unit = "1/cm"
{0}
[states.discharged]
volume = "b.npy"
voxel_size_mm = 0.027
unit = "1/cm"
{1}
[layers]
order = ["separator", "cathode", "collector"]
thickness_mm = [0.5, 0.4, 0.9]
radius_mm = 3.0
"""


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ('filter = "hann"', 'filter = "ram-lak"', "states.discharged.filter: found ram-lak, states.pristine has hann"),
        ("wavelength_angstrom = 2.6", "wavelength_angstrom = 3.0", "found 3.0 Å, states.pristine has 2.6 Å"),
        ("energy_kev = 40", "energy_kev = 60", "energy_kev: found 60.0 keV"),
    ],
)  # fmt: skip
def test_states_that_were_made_differently_are_not_subtracted(tmp_path, first, second, words):
    assert words in problem(tmp_path, VOLUMES.format(first, second))
    study = read_study(written(tmp_path, VOLUMES.format(first, first)))
    assert study.changes == ("discharged-pristine",)
    # one that says nothing is not refused
    read_study(written(tmp_path, VOLUMES.format(first, "")))


def test_the_filter_of_a_scan_is_that_of_the_reconstruction(tmp_path):
    message = problem(
        tmp_path, STUDY.replace('scan = "raw/pristine"', 'scan = "raw/pristine"\nfilter = "hann"')
    )
    assert "reconstruction.filter" in message
