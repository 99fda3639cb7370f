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
    "view": ("demo", "result", []),
    "view-inspect": ("demo", "result", ["inspect"]),
    "view-depth": ("demo", "result", ["depth"]),
    "view-registration": ("demo", "result", ["registration"]),
    "view-scan": ("demo", "raw/charged.h5", []),
    "view-kymograph": ("series", "result", ["kymograph"]),
}


def main() -> None:
    demo, series, images = (Path(part) for part in sys.argv[1:4])
    images.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[4:] or list(SHOTS)
    for name in wanted:
        which, inside, widgets = SHOTS[name]
        target = images / f"{name}.png"
        options = [part for widget in widgets for part in ("--widget", widget)]
        place = {"demo": demo, "series": series}[which] / inside
        program = [sys.executable, "-m", "deltamu.recon.cli", "view", place, "--screenshot", target, *options]
        subprocess.run(program, check=True)
        with Image.open(target) as picture:
            height = round(picture.height * WIDTH / picture.width)
            small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        # not on a palette, which would merge the colours of thin lines
        small.save(target, optimize=True)


if __name__ == "__main__":
    main()
