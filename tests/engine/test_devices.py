"""Choosing where torch computes."""

from __future__ import annotations

import pytest
import torch

from ghn_studio.engine import devices
from ghn_studio.errors import UsageError


def test_the_processor_is_always_there() -> None:
    assert devices.choose("cpu") == torch.device("cpu")
    assert devices.describe(devices.choose("cpu")).startswith("CPU (")


def test_automatic_choice_is_usable() -> None:
    assert float(torch.ones(2, device=devices.choose("auto")).sum()) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_a_missing_gpu_is_said_and_not_replaced() -> None:
    with pytest.raises(UsageError, match=r"CUDA was asked for.*--device cpu or auto"):
        devices.choose("cuda")


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no device 'tpu': use auto, cpu, cuda, mps"):
        devices.choose("tpu")


def test_one_core_is_left_to_the_window() -> None:
    before = torch.get_num_threads()
    try:
        assert devices.limit_threads() == max(1, devices.core_count() - 1) == torch.get_num_threads()
        assert devices.limit_threads(0) == 1
    finally:
        torch.set_num_threads(before)
