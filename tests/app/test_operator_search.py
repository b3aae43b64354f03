"""Finding operators by typing."""

from __future__ import annotations

import pytest

from ghn_studio.app.searching.operator_search import RECENT_LIMIT, find_operators, used
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category


def first(text: str, recent: tuple[str, ...] = ()) -> str:
    return find_operators(text, REGISTRY, recent)[0].spec.title


@pytest.mark.parametrize(("typed", "title"), [
    ("conv", "Conv2d"), ("bn", "BatchNorm"), ("lin", "Linear"), ("gelu", "GELU"), ("cat", "Concatenate"),
    ("attention", "Self-attention"), ("avgp", "AvgPool2d"), ("drop", "Dropout"), ("fc", "Linear"), ("dense", "Linear"),
    ("residual", "Add"), ("gemm", "Linear"), ("BatchNorm2d", "BatchNorm"), ("lrn", "LocalResponseNorm"),
    ("upsample", "Resize"), ("gap", "GlobalAvgPool"), ("view", "Flatten"), ("se", "Squeeze-and-excitation"),
    ("silu", "SiLU"), ("swish", "SiLU"), ("max pool", "MaxPool2d"), ("rsh", "Reshape"),
])
def test_a_few_letters_find_the_operator(typed: str, title: str) -> None:
    assert first(typed) == title


def test_nonsense_finds_nothing_and_hidden_ones_stay_hidden() -> None:
    assert find_operators("zzqx", REGISTRY) == []
    assert all(h.spec.category is not Category.HIDDEN for h in find_operators("", REGISTRY))
    assert len(find_operators("", REGISTRY)) == sum(s.category is not Category.HIDDEN for s in REGISTRY)


def test_what_was_used_last_comes_first() -> None:
    recent = used("gelu", used("add", ()))
    assert [h.spec.id for h in find_operators("", REGISTRY, recent)[:2]] == ["gelu", "add"]
    assert first("conv") == "Conv2d" and first("conv", ("conv1d",)) == "Conv1d"
    assert first("linear", ("conv2d",)) == "Linear"  # a bonus, not a verdict
    for spec in REGISTRY:
        recent = used(spec.id, recent)
    assert len(recent) == RECENT_LIMIT and used(recent[3], recent)[0] == recent[3]
    assert len(set(used(recent[3], recent))) == RECENT_LIMIT


def test_a_hit_says_which_letters_were_meant_or_by_which_name() -> None:
    hit = find_operators("btn", REGISTRY)[0]
    assert hit.spec.id == "batch_norm" and "".join(hit.spec.title[i] for i in hit.positions).lower() == "btn"
    assert find_operators("swish", REGISTRY)[0].via == "Swish"


@pytest.mark.parametrize("spec", [s for s in REGISTRY if s.category is not Category.HIDDEN], ids=lambda s: s.id)
def test_every_operator_is_found_first_by_its_own_title(spec) -> None:
    assert first(spec.title) == spec.title
