"""Take the screenshots of the viewer.

deltamu demo demo && deltamu demo series --operando soft-short
xvfb-run -a -s "-screen 0 1600x1000x24" python docs/gallery/viewer_images.py demo series docs/images
"""

import subprocess
import sys
from pathlib import Path

from PIL import Image

WIDTH = 1100
SHOTS = {
    "view": ("result", []),
    "view-inspect": ("result", ["inspect"]),
    "view-depth": ("result", ["depth"]),
    "view-registration": ("result", ["registration"]),
    "view-scan": ("raw/charged.h5", []),
}
KYMOGRAPH, AT = "view-kymograph", (6.0, 1.33)


def main() -> None:
    demo, series, images = (Path(part) for part in sys.argv[1:4])
    images.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[4:] or [*SHOTS, KYMOGRAPH]:
        target = images / f"{name}.png"
        if name == KYMOGRAPH:
            take_kymograph(series / "result", target)
        else:
            inside, widgets = SHOTS[name]
            options = [part for widget in widgets for part in ("--widget", widget)]
            program = [sys.executable, "-m", "deltamu.recon.cli", "view", demo / inside, "--screenshot", target, *options]
            subprocess.run(program, check=True)
        shrink(target)


def take_kymograph(output: Path, target: Path) -> None:
    """Take the picture of a series with both cursors where lithium has moved."""
    from deltamu.viewers import command
    from deltamu.viewers.napari_layers import add_opened
    from deltamu.viewers.opening import open_path

    viewer = command.import_napari().Viewer()
    viewer.window.resize(*command.WINDOW)
    add_opened(viewer, open_path(output))
    viewer.window.add_plugin_dock_widget("deltamu", command.WIDGETS["kymograph"])[1].move_to(*AT)
    command.take_screenshot(viewer, target)
    viewer.close()


def shrink(target: Path) -> None:
    """Make a picture as wide as a page; not on a palette, which would merge the colours of thin lines."""
    with Image.open(target) as picture:
        height = round(picture.height * WIDTH / picture.width)
        small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.save(target, optimize=True)


if __name__ == "__main__":
    main()
