"""Make the pictures of the README from a finished demo: python docs/gallery/readme_images.py demo/result docs/images.

Further arguments name the pictures: … movie/result docs/images kymographs
"""

import sys
from pathlib import Path

from PIL import Image

NAMES = ("profile", "changes", "depths", "states")
WIDTH = 1100


def main() -> None:
    figures, images = Path(sys.argv[1]) / "figures", Path(sys.argv[2])
    images.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or NAMES:
        with Image.open(figures / f"{name}.png") as picture:
            height = round(picture.height * WIDTH / picture.width)
            small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        # a palette that covers the colours (the median cut tints greys and the ends of colour bars), at a third of the size
        small.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(images / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
