"""Write the volumes of a study for other programs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from deltamu.recon.errors import InputError
from deltamu.recon.study.storage import EXPORT_FOLDER
from deltamu.recon.volumes.export import export_volume
from deltamu.recon.volumes.open import open_image
from deltamu.recon.volumes.zarr_store import METADATA, read_metadata

SUFFIX = {"tiff": ".tif", "nrrd": ".nrrd", "hdf5": ".h5"}


def export_study(
    folder: Path, *, format: str = "tiff", target: Path | None = None, only: Sequence[str] | None = None
) -> Iterator[Path]:
    """Export the images of a study's store and yield each file when it is written.

    Parameters
    ----------
    folder : Path
        Output folder of a study.
    format : {"tiff", "nrrd", "hdf5"}
    target : Path, optional
        Folder to write into; `folder/export` by default.
    only : sequence of str, optional
        Images such as "changes/discharged-pristine/delta_mu"; all by default.

    Raises
    ------
    InputError
        If the folder is not a study or has no such image.
    """
    store = Path(folder) / "study.zarr"
    images = sorted(image_names(store))
    if not images:
        raise InputError(
            f"{folder}: found no study.zarr with images; expected the output folder of a finished `deltamu run`"
        )
    for name in only or images:
        if name not in images:
            raise InputError(f"{folder}: no image '{name}'; there are {', '.join(images)}")
        destination = (target or Path(folder) / EXPORT_FOLDER) / (name.replace("/", "_") + SUFFIX[format])
        export_volume(open_image(store / name), destination, format=format)
        yield destination


def image_names(store: Path) -> Iterator[str]:
    """Yield the names of the complete images in a store, relative to it."""
    if not store.is_dir():
        return
    for metadata in store.rglob(METADATA):
        group = metadata.parent
        if (group / "0" / METADATA).is_file():
            attributes = read_metadata(group, node_type="group").get("attributes", {})
            own = attributes.get("deltamu") if isinstance(attributes, dict) else None
            if isinstance(own, dict) and own.get("complete"):
                yield group.relative_to(store).as_posix()
