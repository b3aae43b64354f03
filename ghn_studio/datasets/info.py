"""The data sets GHN Studio can name."""

from __future__ import annotations

from dataclasses import dataclass

#: Weights of red, green and blue in a grey value (ITU-R BT.601, as in Pillow's mode "L").
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """One data set, without its pixels.

    ``name`` is what commands take and cards record. ``shape`` is that of one stored
    image, ``(channels, height, width)``. ``mean`` and ``std`` are those of the training
    images per channel on a scale of 0 to 1; empty until the pixels were read
    (``engine.data.load`` fills them in). ``counts`` are the images for training, validation and
    test, 0 while unknown. ``can_mirror`` says that a mirrored
    image is as good an example. ``preparation`` says what was done to the images before they were stored.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    source: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    counts: tuple[int, int, int] = (0, 0, 0)
    preparation: str = ""
    can_mirror: bool = True

    @property
    def class_count(self) -> int:
        """Number of classes."""
        return len(self.classes)


DIGITS = DatasetInfo(
    name="digits",
    title="Handwritten digits (scikit-learn, 8×8)",
    classes=tuple("0123456789"),
    shape=(1, 8, 8),
    source="scikit-learn load_digits: 1,797 scans from the UCI optical recognition of handwritten digits data set",
    mean=(0.304747,),
    std=(0.375718,),
    counts=(1074, 359, 364),
    can_mirror=False,
)
