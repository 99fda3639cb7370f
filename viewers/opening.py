"""Find out what a path is: a study, an image, a scan, a volume of another program."""

from pathlib import Path

from deltamu.recon.errors import InputError
from deltamu.recon.scans.read import read_scan
from deltamu.recon.study.settings import read_study
from deltamu.viewers.image_levels import is_image
from deltamu.viewers.layer import Opened
from deltamu.viewers.scan_layers import scan_layers
from deltamu.viewers.series_layers import series_layers
from deltamu.viewers.study_layers import STORE, study_layers
from deltamu.viewers.volume_layers import image_layers, volume_layers

SERIES = "series.toml"


def open_path(path: Path | str) -> Opened:
    """Describe the layers of whatever is at a path.

    Parameters
    ----------
    path : path
        The output folder of a study or the folder above it, its study.toml or study.zarr, one image of it, a
        raw scan, or a volume.

    Raises
    ------
    InputError
        A sentence on what was found and what was expected.
    """
    place = Path(path)
    if not place.exists():
        raise InputError(f"{place}: no such file or folder; expected a study, a scan or a volume")
    output = study_output(place)
    if output is not None:
        return study_layers(output)
    if place.name == SERIES or (place / SERIES).is_file():
        return series_layers(place)
    if is_image(place):
        return image_layers(place)
    return _scan_or_volume(place)


def study_output(path: Path) -> Path | None:
    """Output folder of the study that a path belongs to; None where it is no study.

    Raises
    ------
    InputError
        If there is a study.toml that has not been run, or cannot be read.
    """
    if path.name == STORE and path.is_dir():
        return path.parent
    if (path / STORE).is_dir():
        return path
    settings = path if path.suffix == ".toml" and path.name != SERIES else path / "study.toml"
    if settings.is_file():
        output = read_study(settings).output_dir
        if not (output / STORE).is_dir():
            raise InputError(
                f"{settings}: has not been run yet ({output / STORE} is not there); `deltamu run {settings}`"
            )
        return output
    return None


def looks_like_ours(path: Path) -> bool:
    """Whether a path dropped into a window is for us, judged without reading it."""
    if path.is_dir():
        return (
            path.suffix == ".zarr" or (path / STORE).is_dir() or (path / "study.toml").is_file()
            or (path / "projections").is_dir() or (path / SERIES).is_file()
        )  # fmt: skip
    return path.name in ("study.toml", SERIES) or path.suffix.lower() in (".h5", ".hdf5", ".nxs", ".nrrd")


def _scan_or_volume(path: Path) -> Opened:
    """Open what has angles as a scan, and anything else as a volume."""
    if not _could_be_data(path):
        raise InputError(f"{path}: is neither a study (no {STORE}, no study.toml) nor a scan nor a volume")
    try:
        scan = read_scan(path)
    except InputError as scan_problem:
        try:
            return volume_layers(path)
        except InputError as volume_problem:
            raise InputError(
                f"{path}: is neither a study nor a scan ({scan_problem}) nor a volume ({volume_problem})"
            ) from None
    return scan_layers(scan, path)


def _could_be_data(path: Path) -> bool:
    if path.is_file() or path.suffix == ".zarr":
        return True
    return any(path.iterdir())
