"""Digits: the division, the statistics, and fitting images to inputs."""

from __future__ import annotations

import pytest
import torch

from ghn_studio.datasets import DATASETS, DatasetInfo
from ghn_studio.engine.data import ImageData, adapt, adaptation_text, load
from ghn_studio.errors import DatasetError

COLOUR = DatasetInfo("colour", "Colour", ("a", "b"), (3, 6, 6), "made here", (0.5, 0.4, 0.3), (0.2, 0.3, 0.1))


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load("digits")


def test_digits_are_divided_into_disjoint_parts_that_hold_every_image(digits: ImageData) -> None:
    parts = (digits.train, digits.validation, digits.test)
    assert sum(map(len, parts)) == 1797
    assert [len(p) for p in parts] == list(digits.info.counts) == [1074, 359, 364]
    for part in parts:
        counts = torch.bincount(part.labels, minlength=10)
        assert counts.max() - counts.min() <= 5
        assert part.images.dtype == torch.uint8
        assert part.images.shape[1:] == digits.info.shape
    assert digits.train.images.max() == 255


def test_what_is_known_of_digits_without_pixels_is_what_the_pixels_say(digits: ImageData) -> None:
    assert digits.info == DATASETS["digits"]


def test_adapted_training_images_are_centred_at_their_own_size(digits: ImageData) -> None:
    batch = adapt(digits.train.images, digits.info.shape, digits.info)
    assert batch.dtype == torch.float32
    assert abs(float(batch.mean())) < 1e-4
    assert abs(float(batch.std()) - 1) < 1e-3


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (1, 5, 9), (4, 1, 1), (3, 32, 20)])
def test_grey_images_fit_every_input(digits: ImageData, shape: tuple[int, int, int]) -> None:
    batch = adapt(digits.test.images[:3], shape, digits.info)
    assert batch.shape == (3, *shape)
    assert all(torch.equal(batch[:, 0], batch[:, c]) for c in range(shape[0]))


def test_no_images_give_an_empty_batch(digits: ImageData) -> None:
    assert adapt(digits.test.images[:0], (1, 8, 8), digits.info).shape == (0, 1, 8, 8)


def test_colour_becomes_grey_by_its_luma() -> None:
    images = torch.randint(0, 256, (2, 3, 6, 6), dtype=torch.uint8)
    colour, grey = adapt(images, (3, 6, 6), COLOUR), adapt(images, (1, 6, 6), COLOUR)
    expected = 0.299 * colour[:, 0] + 0.587 * colour[:, 1] + 0.114 * colour[:, 2]
    torch.testing.assert_close(grey[:, 0], expected)


def test_colour_images_are_refused_by_an_input_of_two_channels() -> None:
    with pytest.raises(DatasetError, match=r"2 channels.*has 3"):
        adapt(torch.zeros(1, 3, 6, 6, dtype=torch.uint8), (2, 6, 6), COLOUR)


def test_images_without_statistics_are_refused() -> None:
    unread = DatasetInfo("new", "New", ("a", "b"), (3, 6, 6), "made here")
    with pytest.raises(DatasetError, match="load it first"):
        adapt(torch.zeros(1, 3, 6, 6, dtype=torch.uint8), (3, 6, 6), unread)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((3, 16, 16), "8×8 grey → 3×16×16: resized, repeated over 3 channels, normalised"),
        ((1, 8, 8), "8×8 grey → 1×8×8: normalised"),
    ],
)
def test_adaptation_is_told_in_words(shape: tuple[int, int, int], text: str) -> None:
    assert adaptation_text(DATASETS["digits"], shape) == text


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(DatasetError, match=r"no data set 'cifar'.*digits, cifar10, .* or folder:PATH"):
        load("cifar")
