"""Decoding image files into small squares of bytes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

#: ``(C, S, S)`` bytes, or why there are none.
Decoded = np.ndarray | str


def decode_all(paths: Sequence[Path], channels: int, side: int, pool: Executor) -> list[Decoded]:
    """Decode files in parallel; a file that cannot be used gives a sentence that says why."""
    with warnings.catch_warnings():
        # Pillow warns above its limit on pixels and raises above twice the limit; we refuse at the limit.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)  # odd metadata; the pixels are what counts
        return list(pool.map(lambda path: decode(path, channels, side), paths))


def decode(path: Path, channels: int, side: int) -> Decoded:
    """Read one image, scale its shorter side to ``side`` px and cut out the middle.

    Camera orientation is applied, the first frame of an animation is taken, CMYK and
    palettes become RGB, transparency is dropped, and 16-bit grey keeps its upper 8 bits.
    """
    try:
        if path.stat().st_size == 0:
            return "the file is empty"
        with Image.open(path) as image:
            image.draft("RGB" if channels == 3 else "L", (2 * side, 2 * side))  # JPEG: decode no more than needed
            upright = ImageOps.exif_transpose(image) if "exif" in image.info else image
            plain = _eight_bits(upright).convert("RGB" if channels == 3 else "L")
            square = ImageOps.fit(plain, (side, side), Image.Resampling.BILINEAR)
            pixels = np.asarray(square)
            return pixels.reshape(side, side, channels).transpose(2, 0, 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels, refused as a decompression bomb"
    except Exception as error:  # noqa: BLE001 - damaged files make decoders raise anything; the reason is reported
        return f"cannot be decoded: {error or type(error).__name__}"


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring 16-bit grey down to 8 bits; Pillow's own conversion would cut values off at 255."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("more than 16 bits per pixel")
    return Image.fromarray((values >> 8).astype(np.uint8))
