"""The command palette's order: what was typed decides, then habit, then what can be run."""

from __future__ import annotations

from ghn_studio.app.searching.commanding import REMEMBERED, Command, Kind, ranked, remembered

FIT = Command("view.fit", "Fit", Kind.ACTION, "View", "Home")
FIND = Command("edit.find", "Find…", Kind.ACTION, "Edit", "Ctrl+F")
PASTE = Command("edit.paste", "Paste", Kind.ACTION, "Edit", reason="Copy nodes first.")
PANEL = Command("panel:Problems", "Problems", Kind.PANEL, "Show panel")
CONV = Command("add:conv2d", "Add Conv2d", Kind.OPERATOR, "Convolution")
NODE = Command("node:fit", "fit", Kind.NODE, "Go to   Linear")
PATCH = Command("node:patch", "patch", Kind.NODE, "Go to   Conv2d")
ALL = [NODE, CONV, PANEL, FIT, FIND, PASTE, PATCH]


def keys(query: str, recent: tuple[str, ...] = ()) -> list[str]:
    return [hit.command.key for hit in ranked(query, ALL, recent)]


def test_without_a_query_the_last_commands_come_first_and_nodes_are_left_out() -> None:
    assert keys("") == ["view.fit", "edit.find", "edit.paste", "panel:Problems"]
    assert keys(" ", ("add:conv2d", "panel:Problems"))[:3] == ["add:conv2d", "panel:Problems", "view.fit"]


def test_commands_come_before_nodes_of_the_same_name() -> None:
    assert keys("fit")[:2] == ["view.fit", "node:fit"]


def test_habit_decides_among_equals_only() -> None:
    assert keys("fi")[:2] == ["view.fit", "edit.find"]
    assert keys("fi", ("edit.find",))[:2] == ["edit.find", "view.fit"]
    assert keys("fit", ("edit.find",))[0] == "view.fit", "a better match comes first all the same"


def test_what_cannot_be_run_comes_later() -> None:
    assert keys("pa") == ["node:patch", "edit.paste", "panel:Problems"]


def test_menu_and_detail_help_to_find_but_less() -> None:
    assert keys("convolution") == ["add:conv2d"]
    assert keys("add conv") == ["add:conv2d"]
    (hit,) = ranked("conv", [CONV])
    assert "".join(CONV.title[i] for i in hit.positions) == "Conv"


def test_remembering_is_bounded_and_has_no_doubles() -> None:
    recent: tuple[str, ...] = ()
    for key in ["a", "b", "a", *map(str, range(20)), "3"]:
        recent = remembered(key, recent)
    assert recent[0] == "3" and len(recent) == REMEMBERED == len(set(recent))
