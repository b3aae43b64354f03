"""The manual: every page renders, every link leads somewhere, every operator is described from the registry."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghn_studio.app.architectures import EXAMPLE, examples
from ghn_studio.app.helping import markup, operator_pages
from ghn_studio.app.helping.manual import CONTENTS, OPERATOR, SCHEME, Manual, ManualError, resolve, table
from ghn_studio.app.tasks import TASKS
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category, OpSpec

MANUAL = Manual(REGISTRY, {"gestures": table(("What", "How"), [("Zoom", "Wheel")]), "shortcuts": "None."})
SHOWN = [spec for spec in REGISTRY if spec.category is not Category.HIDDEN]
EVERY_OPERATOR = pytest.mark.parametrize("spec", SHOWN, ids=lambda spec: spec.id)


class _Tags(HTMLParser):
    """Collects anchors and complains about tags that are not closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.open.append(tag)
        self.names.update(value or "" for key, value in attrs if key == "name")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _parsed(html: str) -> _Tags:
    tags = _Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


@pytest.mark.parametrize("address", list(MANUAL.addresses()))
def test_every_page_renders_and_every_link_of_it_leads_somewhere(address: str) -> None:
    page = MANUAL.page(address)
    assert page.title
    assert "{{" not in page.markdown
    _parsed(page.html)
    for target in map(resolve, markup.links(page.markdown)):
        if target.startswith(SCHEME):
            anchor = target.partition("#")[2]
            found = MANUAL.page(target)
            assert not anchor or anchor in _parsed(found.html).names, target
        elif target.startswith(EXAMPLE):
            assert target.removeprefix(EXAMPLE) in {info.name for info in examples()}
        else:
            assert re.fullmatch(r"https://[a-z.]+/\S+", target), target


def test_the_contents_lead_to_every_chapter_and_the_operators_chapter_to_every_operator() -> None:
    contents = {resolve(t) for t in markup.links(MANUAL.page(CONTENTS).markdown)}
    assert contents == set(MANUAL.chapters)
    listed = {resolve(t) for t in markup.links(MANUAL.page(f"{SCHEME}operators").markdown)}
    assert listed == {OPERATOR + spec.id for spec in SHOWN}


@EVERY_OPERATOR
def test_an_operators_page_names_all_there_is_to_know(spec: OpSpec[object]) -> None:
    text = MANUAL.page(OPERATOR + spec.id).markdown
    assert spec.summary in text
    assert spec.formula in text
    for line in spec.form:
        assert line.label in text
        assert f"`{line.name}`" in text
        assert operator_pages.allowed(line) in text
        assert line.help in text
    first = spec.examples[0]
    for shape in (*first.inputs, *spec.infer_outputs(first.params, first.inputs)):
        assert f"`{shape.extents}`" in text
    assert spec.module(first.params, first.inputs).short_name in text
    for weight in spec.weights(first.params, first.inputs):
        assert f"`{weight.name}`" in text or not weight.name
    for node in spec.graph(first.params, first.inputs):
        assert f"`{node.primitive}`" in text


@EVERY_OPERATOR
def test_every_operator_of_the_palette_says_what_it_computes_and_what_its_parameters_mean(spec: OpSpec[object]) -> None:
    assert "y" in spec.formula, "a formula says how the output comes about"
    assert spec.formula.count("(") == spec.formula.count(")")
    assert spec.formula.count("[") == spec.formula.count("]")
    for line in spec.form:
        assert line.help.endswith("."), f"{spec.id}: '{line.name}' does not say what it means"
    assert re.fullmatch(r"(arXiv:\d{4}\.\d{4,5}|https://\S+)?", spec.source)


def test_the_links_of_a_page_are_derived() -> None:
    conv, attention = REGISTRY["conv2d"], REGISTRY["msa"]
    first = conv.examples[0]
    address = operator_pages.documentation_url(conv.module(first.params, first.inputs))
    assert address == "https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html"
    assert operator_pages.source_url(attention) == "https://arxiv.org/abs/1706.03762"
    assert "example:vit_small" in markup.links(MANUAL.page(OPERATOR + "msa").markdown)


def test_the_command_line_chapter_has_every_task() -> None:
    text = MANUAL.page(f"{SCHEME}command-line").markdown
    for task in TASKS:
        assert f"## {task.id}\n" in text
        for example in task.examples:
            assert f"ghn-studio {task.id} {example}" in text


@pytest.mark.parametrize(("words", "address"), [
    ("conv2d", "manual:op/conv2d"), ("batch norm", "manual:op/batch_norm"), ("recovery", "manual:files"),
    ("self-attention", "manual:op/msa"), ("closed form", "manual:predicting"), ("FAMILIAR", "manual:results"),
])
def test_a_search_finds_the_page(words: str, address: str) -> None:
    hits = MANUAL.search(words)
    assert address in [hit.address for hit in hits]
    for hit in hits:
        MANUAL.page(hit.address)


def test_a_search_puts_titles_first_and_finds_nothing_for_nonsense() -> None:
    assert MANUAL.search("exporting")[0].address == "manual:exporting"
    assert MANUAL.search("zzqx") == ()
    assert MANUAL.search("  ") == ()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManualError, match="manual:nowhere"):
        MANUAL.page("manual:nowhere")
    with pytest.raises(ManualError, match="manual:op/nothing"):
        MANUAL.page("manual:op/nothing")
    (tmp_path / "01-a.md").write_text("# A\n\n{{unknown}}")
    with pytest.raises(ManualError, match="'unknown' of the chapter 01-a.md"):
        _ = Manual(REGISTRY, {}, tmp_path).chapters
    (tmp_path / "01-a.md").write_text("no heading")
    with pytest.raises(ManualError, match="does not begin with a heading"):
        _ = Manual(REGISTRY, {}, tmp_path).chapters


def test_markup() -> None:
    text = "# A *b*\n\nwords `x < y` and\n**strong** [to](canvas.md)\n\n- one\n  more\n- two\n\n1. first"
    text += "\n\n```\na | b < c\n```"
    assert markup.to_html(text, resolve).splitlines() == [
        '<p class="h1"><a name="a-b"></a>A <i>b</i></p>',
        '<p>words <code>x &lt; y</code> and <b>strong</b> <a href="manual:canvas">to</a></p>',
        "<ul><li>one more</li><li>two</li></ul>", "<ol><li>first</li></ol>",
        "<table width='100%' cellpadding='8'><tr><td class='code'><pre>a | b &lt; c</pre></td></tr></table>",
    ]
    html = markup.to_html("| A | B |\n|---|:-:|\n| 1 | `c` |")
    assert html.count("<tr>") == 2
    assert "<td><code>c</code></td>" in html
    assert markup.to_html("|---|") == ""
    assert "<th" not in markup.to_html("| | |\n|---|---|\n| 1 | 2 |"), "a table may have no head"
    assert markup.plain("# T\n\n| a | [b](c) |\n|---|---|") == "T a b"


@given(st.text(alphabet=st.sampled_from("ab<>&\"'`*[]()|#-1. \n"), max_size=80))
def test_any_text_becomes_well_formed_markup_without_foreign_tags(text: str) -> None:
    html = markup.to_html(text)
    _parsed(html)
    assert "<b>" not in html or "**" in text
    known = {"p", "a", "b", "i", "code", "pre", "ul", "ol", "li", "table", "tr", "td", "th"}
    assert set(re.findall(r"<(\w+)", html)) <= known


def test_the_manual_is_read_ahead_in_steps() -> None:
    operator_pages.example_facts.cache_clear()
    manual = Manual(REGISTRY, {"gestures": "", "shortcuts": ""})
    steps = list(manual.prepare())
    assert len(steps) == len(examples()) + 2
    read = operator_pages.example_facts.cache_info().misses
    manual.page(OPERATOR + "conv2d")
    assert operator_pages.example_facts.cache_info().misses == read == len(examples())
