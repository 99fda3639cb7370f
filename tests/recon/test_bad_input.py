"""What users get wrong, through the command line: one clear line, the right exit status, nothing touched or lost."""

import os
import re
import shutil

import h5py
import numpy as np
import pytest
import tifffile

from deltamu.recon.cli import main


def frame(scan, kind, index, image, **options):
    tifffile.imwrite(scan / kind / f"{kind}_{index:03d}.tif", image, **options)


def frames(scan, kind, level, count=30):
    for index in range(count):
        frame(scan, kind, index, np.full((8, 24), level, np.uint16))


def shorten(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def angles(scan, degrees):
    np.savetxt(scan / "angles.txt", degrees)


def exchange_names(scan, first, second):
    for old, new in ((first, "kept"), (second, first), ("kept", second)):
        (scan / old).rename(scan / new)


def only_one(scan):
    for file in sorted((scan / "projections").iterdir())[1:]:
        file.unlink()
    angles(scan, [0.0])


def empty(scan):
    shutil.rmtree(scan)
    scan.mkdir()


def darker(scan):
    frames(scan, "flats", 5, 6)
    frames(scan, "darks", 300, 4)


EVEN = np.arange(30) * 6.0
FILES = {
    "missing": (shutil.rmtree, ["scan", "no such file or folder"]),
    "empty folder": (empty, ["scan", "found no images", ".tif"]),
    "mixed sizes": (
        lambda s: frame(s, "projections", 7, np.ones((9, 24), np.uint16)),
        ["projections_007.tif", "9 × 24", "expected 8 × 24", "select"],
    ),
    "truncated TIFF": (
        lambda s: shorten(s / "projections" / "projections_007.tif"),
        ["projections_007.tif", "truncated", "copy"],
    ),
    "truncated flat": (
        lambda s: shorten(s / "flats" / "flats_002.tif"),
        ["flats_002.tif", "truncated", "copy"],
    ),
    "empty file": (
        lambda s: (s / "projections" / "projections_029.tif").write_bytes(b""),
        ["projections_029.tif", "not a readable TIFF", "copy"],
    ),
    "RGB images": (
        lambda s: frame(s, "projections", 0, np.zeros((8, 24, 3), np.uint8), photometric="rgb"),
        ["projections_000.tif", "colour", "expected grey"],
    ),
    "one RGB image": (
        lambda s: frame(s, "projections", 9, np.zeros((8, 24, 3), np.uint8), photometric="rgb"),
        ["projections_009.tif", "colour", "expected grey"],
    ),
    "zero flats": (lambda s: frames(s, "flats", 0, 6), ["flats", "zero", "expected"]),
    "one zero flat": (
        lambda s: frame(s, "flats", 2, np.zeros((8, 24), np.uint16)),
        ["flats: frame 2 of 6", "darks", "shutter"],
    ),
    "saturated flats": (lambda s: frames(s, "flats", 65535, 6), ["flats", "65535", "saturated", "exposure"]),
    "flats darker than darks": (darker, ["flats", "5 ADU", "300", "darker"]),
    "flats and darks swapped": (lambda s: exchange_names(s, "flats", "darks"), ["swapped", "exchange"]),
    "flats and projections swapped": (
        lambda s: frames(s, "flats", 200, 6),
        ["projections are brighter than flats", "190", "exposure_s"],
    ),
    "no flats": (lambda s: shutil.rmtree(s / "flats"), ["scan", "flats", "flats"]),
    "radians": (lambda s: angles(s, np.radians(EVEN)), ["angles.txt", "3.037°", "angle_unit = 'rad'"]),
    "one angle more": (
        lambda s: angles(s, [*EVEN, 180.0]),
        ["31 angles", "30 projections", "angle_select = '[0:30]'"],
    ),
    "one angle less": (lambda s: angles(s, EVEN[1:]), ["29 angles", "30 projections", "projection_select"]),
    "NaN angle": (lambda s: angles(s, [np.nan, *EVEN[1:]]), ["angles.txt", "entry 0 is nan", "finite"]),
    "no angle": (lambda s: (s / "angles.txt").unlink(), ["no angles", "angle_file", "angle_golden"]),
    "angles in words": (lambda s: (s / "angles.txt").write_text("zero\n" * 30), ["angles.txt", "no angles"]),
    "one projection": (only_one, ["found 1 projection", "at least two"]),
    "a name twice": (
        lambda s: shutil.copy(
            s / "projections" / "projections_003.tif", s / "projections" / "projections_3.tif"
        ),
        ["30 angles", "31 projections"],
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_scan_is_refused_by_every_command(said, study, scan, case):
    spoil, words = FILES[case]
    spoil(scan)
    volume = study.with_name("volume.tif")
    commands = (
        ("check", study),
        ("run", study),
        ("recon", scan, "-o", volume, "--set", "pixel_size_mm=0.1"),
        ("center", scan, "-o", study.with_name("center.png"), "--set", "pixel_size_mm=0.1"),
    )
    for command in commands:
        message = said(*command, status=2)
        for word in words:
            assert word in message, command
        if command[0] in ("check", "run"):
            assert message.startswith("deltamu: states.only: ")
    assert not (study.parent / "result").exists()
    assert not volume.exists()


def replace(file, name, change):
    values = change(file[name][()].astype(np.float64))
    attributes = dict(file[name].attrs)
    del file[name]
    file[name] = values
    file[name].attrs.update(attributes)


def spoilt(value, *place):
    def change(values):
        values[place] = value
        return values

    return change


EXCHANGE = {
    "NaN pixel": ("exchange/data", spoilt(np.nan, 5, 3, 3), ["frame 5", "not finite", "expected"]),
    "infinite flat": ("exchange/data_white", spoilt(np.inf, 2, 3, 3), ["frame 2", "not finite"]),
    "NaN angle": ("exchange/theta", spoilt(np.nan, 0), ["exchange/theta", "entry 0 is nan"]),
    "frame without light": ("exchange/data", spoilt(10.0, 5), ["projection 5", "shutter", "Leave"]),
    "frames without light": ("exchange/data", lambda values: 0 * values, ["projection 0", "shutter"]),
}


@pytest.mark.parametrize("case", EXCHANGE)
def test_wrong_values_in_a_dataset(said, exchange_study, exchange, case):
    name, change, words = EXCHANGE[case]
    with h5py.File(exchange, "a") as file:
        replace(file, name, change)
    volume = exchange.with_name("volume.tif")
    for command in (
        ("run", exchange_study),
        ("recon", exchange, "-o", volume, "--set", "pixel_size_mm=0.1"),
    ):
        message = said(*command, status=2)
        assert "scan.h5" in message or "states.only" in message
        for word in words:
            assert word in message


def test_a_truncated_hdf5_file(said, exchange_study, exchange):
    shorten(exchange)
    for command in ("check", "run"):
        assert "scan.h5: truncated; copy" in said(command, exchange_study, status=2)


def test_a_wrong_dataset_path(said, exchange_study, edit):
    edit(exchange_study, '"scan.h5"', '"scan.h5"\ndata_path = "exchange/dat"')
    assert "no dataset 'exchange/dat'; nearest: exchange/data" in said("check", exchange_study, status=2)


def test_angles_that_run_backwards_are_angles(capsys, study, scan):
    angles(scan, -EVEN)
    assert main(["check", str(study)]) == 0


SETTINGS = {
    "pixel size zero": ("0.1", "0", ["pixel_size_mm: found 0", "above 0", "mm"]),
    "pixel size negative": ("0.1", "-0.1", ["pixel_size_mm: found -0.1", "above 0"]),
    "pixel size in metres": ("0.1", "2.7e-5", ["pixel_size_mm", "metres", "try 0.027"]),
    "pixel size in micrometres": ("0.1", "27", ["pixel_size_mm", "µm", "try 0.027"]),
    "pixel size with unit": ("0.1", '"27 um"', ["pixel_size_mm: found '27 um'", "mm"]),
    "no pixel size": ("pixel_size_mm = 0.1", "", ["pixel_size_mm is missing", "[scan]"]),
    "unknown key of a scan": ("0.1", '0.1\nangle_selekt = "[0:3]"', ["angle_selekt", "'angle_select'"]),
    "unknown key": ('reference = "only"', 'reference = "only"\noutputs = "x"', ["outputs", "'output'"]),
    "unknown state in a change": (
        'reference = "only"',
        'reference = "only"\nchanges = ["charged-only"]',
        ["change 'charged-only'", "no state 'charged'"],
    ),
    "unknown reference": ('reference = "only"', 'reference = "onyl"', ["reference = 'onyl'", "'only'"]),
    "state with a hyphen": ("[states.only]", "[states.on-ly]", ["on-ly", "hyphen", "'on_ly'"]),
    "state twice": ("[states.only]", '[states.only]\nscan = "b"\n[states.only]', ["twice", "once"]),
    "no state": ('[states.only]\nscan = "scan"', "", ["[states.NAME]"]),
    "scan with the size of a volume": ('"scan"', '"scan"\nvoxel_size_mm = 0.1', ["pixel_size_mm"]),
    "volume with an option of a scan": ('scan = "scan"', 'volume = "v.tif"\nbin = 2', ["bin", "scan"]),
    "crop that is no range": ('"scan"', '"scan"\ncrop_rows = 4', ["crop_rows: found 4", "[start, stop]"]),
    "crop beyond the detector": ('"scan"', '"scan"\ncrop_rows = [0, 99]', ["crop_rows", "99", "8"]),
    "a pattern that is none": ('"scan"', '"scan"\nangle_pattern = "(("', ["angle_pattern", "(("]),
    "centre outside": ('"scan"', '"scan"\ncenter = 500.0', ["center: found 500", "23.5"]),
    "centre that is no number": ('"scan"', '"scan"\ncenter = nan', ["center", "nan"]),
    "search outside": ("[states", "[center]\nsearch_px = [9, 99]\n[states", ["search_px", "99", "0 to 23"]),
    "air outside": (
        "[states",
        "[preprocess]\nair_columns = [[0, 99]]\n[states",
        ["air_columns", "99", "24"],
    ),
    "unknown filter": (
        "[states",
        '[reconstruction]\nfilter = "han"\n[states',
        ["reconstruction.filter", "'hann'"],
    ),
    "memory without size": ("[states", '[run]\nmemory = "much"\n[states', ["memory: found 'much'", "4G"]),
    "output that is the scan": ("[scan]", 'output = "scan"\n[scan]', ["scan: is not empty", "angles.txt"]),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_wrong_settings(said, study, edit, case):
    old, new, words = SETTINGS[case]
    edit(study, old, new)
    for command in ("check", "run"):
        message = said(command, study, status=2)
        for word in words:
            assert word in message
    assert not (study.parent / "result").exists()


def test_text_that_is_not_utf_8(said, study):
    study.write_bytes(b'name = "caf\xe9"\n' + study.read_bytes())
    assert "study.toml: is not UTF-8 text (byte 0xe9 at 11); save it as UTF-8" in said("run", study, status=2)


def test_text_of_another_editor(capsys, study):
    """A byte order mark and the line ends of Windows are not the user's fault."""
    study.write_bytes(b"\xef\xbb\xbf" + study.read_bytes().replace(b"\n", b"\r\n"))
    assert main(["check", str(study)]) == 0


def test_a_folder_instead_of_a_file(said, study):
    study.rename(study.with_name("cell.toml"))
    study.mkdir()
    assert "`deltamu new DIR`" in said("run", study, status=2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(said, study, scan):
    (scan / "projections" / "projections_007.tif").chmod(0)
    assert "projections_007.tif: cannot be read (Permission denied)" in said("run", study, status=2)


def test_memory_too_small_names_the_number(said, study):
    message = said("run", study, "--memory", "20M", status=3)
    needed = re.search(r"needs [\d.]+ [GM]iB, 20.0 MiB were given; try --memory (\d+[GM])", message)
    assert needed
    assert main(["check", str(study), "--memory", needed[1]]) == 0


def test_a_demo_too_large_is_refused_before_it_is_simulated(said, tmp_path):
    message = said("demo", tmp_path / "demo", "--preset", "full", "--memory", "200M", status=3)
    assert re.search(r"needs [\d.]+ GiB, 200.0 MiB were given; try --memory \d+G", message)
    assert not (tmp_path / "demo").exists()


def test_memory_that_is_no_size(said, study):
    assert "4G" in said("run", study, "--memory", "plenty", status=2)


def test_an_output_that_is_another_folder(said, study):
    output = study.parent / "result"
    output.mkdir()
    (output / "thesis.tex").write_text("precious")
    for command in (("check", study), ("run", study), ("run", study, "--fresh")):
        assert "thesis.tex" in said(*command, status=2)
    assert (output / "thesis.tex").read_text() == "precious"


def test_an_output_that_is_a_file(said, study):
    (study.parent / "result").write_text("precious")
    assert "is a file" in said("run", study, status=2)


def test_an_unwritable_output(said, study, edit):
    # root may write anywhere but to the file systems of the kernel
    target = "/sys/deltamu" if os.geteuid() == 0 else str(study.parent / "locked" / "result")
    if os.geteuid() != 0:
        (study.parent / "locked").mkdir(mode=0o555)
    edit(study, 'reference = "only"', f'reference = "only"\noutput = "{target}"')
    assert "output folder you may write to" in said("run", study, status=2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-o", "v.jpg"), "expected"),
        (("-o", "."), "no slice of ours"),
        (("-o", "v.tif", "--rows", "5"), "expected start:stop within 0:8"),
        (("-o", "v.tif", "--rows", "0:9"), "expected start:stop within 0:8"),
        (("-o", "v.tif", "--center", "99"), "-0.5 to 23.5"),
        (("-o", "v.tif", "--center", "nan"), "-0.5 to 23.5"),
        (("-o", "v.tif", "--cutoff", "0"), "Nyquist"),
        (("-o", "v.tif", "--set", "pixelsize_mm=1"), "did you mean 'pixel_size_mm'"),
        (("-o", "v.tif", "--set", "pixel_size_mm"), "KEY=VALUE"),
        (("-o", "v.tif", "--set", "angles=angles.txt"), "did you mean 'angle_file'"),
        (("-o", "v.tif", "--set", "angles_deg=angles.txt"), "a file of angles is stated as angle_file"),
        (("-o", "v.tif", "--set", "angles_deg=[0, 1, true]"), "angles_deg: found (0, 1, True)"),
        (("-o", "v.tif", "--set", "flats=3"), "flats: found 3, expected text"),
        (("-o", "v.tif", "--set", "transpose=1"), "transpose: found 1, expected true or false"),
    ],
)
def test_wrong_options_of_recon(said, scan, options, words, monkeypatch):
    monkeypatch.chdir(scan.parent)
    assert words in said("recon", "scan", "--set", "pixel_size_mm=0.1", *options, status=2)
    assert not (scan.parent / "v.tif").exists()


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_folder_that_is_no_result(said, scan, command):
    assert "output" in said(command, scan, status=2)
    assert "output folder of" in said(command, scan / "nothing", status=2)


def test_new_without_scans(said, study, tmp_path):
    assert "exists already" in said("new", study.parent, status=2)
    assert "no such folder" in said("new", tmp_path / "nothing", status=2)
    (tmp_path / "bare").mkdir()
    assert "found nothing that looks like a scan" in said("new", tmp_path / "bare", status=2)
