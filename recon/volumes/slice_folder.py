"""A volume as a folder of TIFF slices, complete or absent."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import tifffile

from deltamu.recon.atomic import PARTIAL, disk_errors, ensure_free, fsync_files, fsync_folder
from deltamu.recon.errors import InputError
from deltamu.recon.volumes.volume import Volume

SLICE_NAME = re.compile(r"slice_\d+\.tif")
_HEADER_BYTES = 4096


def write_slices(volume: Volume, folder: str | os.PathLike[str]) -> Path:
    """Write one float32 TIFF per slice, `slice_00000.tif` and on, each with its voxel size and unit.

    The folder appears when all slices are on the disk.

    Parameters
    ----------
    volume : Volume
    folder : path-like
        Made; a folder of earlier slices is replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder holds anything else, or cannot be written to.
    ResourceError
        If the disk is full; nothing is left behind.
    """
    target = Path(folder)
    refuse_foreign(target)
    ensure_free(target, volume.nbytes + _HEADER_BYTES * volume.shape[0])
    temporary = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
    with disk_errors(target):
        try:
            temporary.mkdir(parents=True)
            _write_all(volume, temporary)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        fsync_folder(target.parent)
    return target


def _write_all(volume: Volume, folder: Path) -> None:
    size = volume.voxel_size_mm
    metadata = {"axes": "YX", "unit": "mm", "Info": f"{volume.name}\nunit of the values: {volume.unit}\n"}
    digits = max(5, len(str(volume.shape[0] - 1)))
    files = [folder / f"slice_{number:0{digits}d}.tif" for number in range(volume.shape[0])]
    for number, file in enumerate(files):
        image = np.asarray(volume[number], np.float32)
        tifffile.imwrite(file, image, imagej=True, resolution=(1 / size, 1 / size), metadata=metadata)
    fsync_files(files, root=folder)


def refuse_foreign(folder: Path) -> None:
    """Refuse a place for slices that holds anything but slices.

    Raises
    ------
    InputError
        Naming what is in the way.
    """
    if folder.is_file():
        raise InputError(f"{folder}: is a file; expected a folder for TIFF slices")
    if not folder.is_dir():
        return
    foreign = next((entry.name for entry in folder.iterdir() if not SLICE_NAME.fullmatch(entry.name)), None)
    if foreign is not None:
        raise InputError(f"{folder}: holds '{foreign}', which is no slice of ours; choose another folder")
