"""Take the screenshots of the viewer: xvfb-run -a -s "-screen 0 1600x1000x24" python docs/gallery/viewer_images.py demo docs/images."""

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


def main() -> None:
    demo, images = Path(sys.argv[1]), Path(sys.argv[2])
    images.mkdir(parents=True, exist_ok=True)
    for name, (inside, widgets) in SHOTS.items():
        target = images / f"{name}.png"
        options = [part for widget in widgets for part in ("--widget", widget)]
        program = [sys.executable, "-m", "deltamu.recon.cli", "view", demo / inside, "--screenshot", target, *options]
        subprocess.run(program, check=True)
        with Image.open(target) as picture:
            height = round(picture.height * WIDTH / picture.width)
            small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        small.quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main()
