"""A session from the first start to the end, by keys and clicks: ``python -m ghn_studio.gui.tour --to FOLDER``.

Writes one numbered picture per scene: for the README, for a review, and to see after a
change that everything still looks as it should. Needs no screen, no network and no
settings: it begins as on a fresh machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PySide6.QtWidgets import QApplication, QSpinBox

from ghn_studio.app.editing.grouping import repeated
from ghn_studio.gui.person import ImpatientError, Person
from ghn_studio.ir.graph import NodeId


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pictures and return the exit status."""
    arguments = _parser().parse_args(argv)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_SCALE_FACTOR"] = arguments.scale
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GHN_STUDIO_SETTINGS"] = folder
        os.environ["GHN_STUDIO_DATA"] = folder
        return _shoot(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ghn_studio.gui.tour", description="Play a session and write a picture of each scene."
    )
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="where the PNG files go")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark", help="default: %(default)s")
    parser.add_argument("--size", default="1440x900", metavar="WxH", help="window size (default: %(default)s)")
    parser.add_argument("--scale", default="1", help="pixels per point, 2 for sharp pictures (default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=(), metavar="SCENE",
                        help="write these pictures alone; everything is played all the same")
    parser.add_argument("--quick", action="store_true", help="leave out scenes that import PyTorch")
    return parser


def _shoot(arguments: argparse.Namespace) -> int:
    app = QApplication.instance() or QApplication(["tour"])
    from ghn_studio.gui.main_window import MainWindow

    arguments.to.mkdir(parents=True, exist_ok=True)
    window = MainWindow()
    window.set_theme(arguments.theme)
    width, _, height = arguments.size.partition("x")
    window.resize(int(width), int(height))
    window.show()
    person = Person(window)
    person.rest()
    status = 0
    try:
        for number, scene in enumerate(scenes(person, quick=arguments.quick), 1):
            if arguments.only and scene not in arguments.only:
                continue
            name = arguments.to / f"{number:02d}-{scene}.png"
            if not person.picture(pointer=True).save(str(name), "PNG"):
                raise ImpatientError(f"{name} cannot be written")
            print(name)
    except ImpatientError as error:
        print(f"The tour stopped: {error}", file=sys.stderr)
        status = 1
    finally:
        window.document.mark_saved()
        window.close()
        app.processEvents()
    return status


def scenes(person: Person, *, quick: bool = False) -> Iterator[str]:
    """Play the session; each name says that the window now shows something worth a picture.

    Raises:
        ImpatientError: Something did not happen that should have.
    """
    yield from _beginning(person)
    yield from _drawing(person)
    yield from _mistakes(person)
    yield from _groups(person)
    yield from _finding(person)
    yield from _looking(person)
    if not quick:
        yield from _running(person)
    yield from _helping(person)


def _beginning(person: Person) -> Iterator[str]:
    window = person.window
    yield "first-start"
    window.hints.silence()
    person.choose("file.gallery")
    person.wait(lambda: not window.gallery.is_drawing, "the pictures of the examples")
    person.rest()
    yield "gallery"
    window.show_canvas()
    person.choose("file.new")
    person.rest()
    yield "empty-canvas"


def _drawing(person: Person) -> Iterator[str]:
    """A small residual network from the keyboard: Tab, a few letters, Enter."""
    canvas = person.window.canvas
    canvas.setFocus()
    _add(person, "input")
    person.press("Tab", canvas)
    person.type("conv")
    person.rest()
    yield "search"
    person.press("Return")
    for name in ("batch", "relu", "conv2d", "batch", "add"):
        _add(person, name)
    relu, total = _node(person, "relu"), _node(person, "add")
    person.choose("view.fit")
    person.rest()
    end = person.at_input(total, 1)
    person.drag(person.at_output(relu), end, drop=False)
    yield "connecting"
    person.drop(end)
    person.click(person.at_node(total))
    for name in ("global avg", "flatten", "linear", "output"):
        _add(person, name)
    person.choose("view.arrange")
    person.rest()
    person.click(person.at_node(_node(person, "conv2d")))
    yield "drawn"


def _mistakes(person: Person) -> Iterator[str]:
    """Other widths on both ways into the sum, and the button that mends it."""
    window = person.window
    conv = _node(person, "conv2d", 1)
    person.click(person.at_node(conv))
    channels = window.inspector.findChild(QSpinBox)
    if channels is None:
        raise ImpatientError("the inspector shows no number for the convolution")
    channels.setFocus()
    channels.selectAll()
    person.type("48", channels)
    person.press("Return", channels)
    window.tabs.setCurrentWidget(window.problems)
    person.rest()
    yield "mismatch"
    person.choose("edit.undo")
    person.choose("view.shelf")
    person.rest()


def _groups(person: Person) -> Iterator[str]:
    """The block as a group, three times in a row, as one block, and from the inside."""
    window = person.window
    canvas = window.canvas
    canvas.select([_node(person, "conv2d", 1), _node(person, "batch_norm", 1), _node(person, "add")])
    person.choose("group.make")
    person.type("Residual block")
    person.press("Return")
    person.rest()
    path = next(iter(window.document.graph.groups))
    window.document.apply("Repeat", repeated(path, 3))
    person.choose("view.arrange")
    person.rest()
    yield "group"
    canvas.select((NodeId(path),))
    person.choose("group.toggle")
    person.choose("view.fit")
    person.rest()
    yield "collapsed"
    canvas.select((NodeId(path),))
    person.choose("group.enter")
    person.rest()
    yield "inside"
    person.choose("group.leave")
    person.rest()
    canvas.select([_node(person, "input"), _node(person, "conv2d"), _node(person, "relu")])
    canvas.setFocus()
    person.press("C", canvas)
    person.type("Stem")
    person.press("Return")
    person.choose("view.fit")
    person.rest()
    yield "frame"


def _finding(person: Person) -> Iterator[str]:
    """A large network, found in by what its nodes are."""
    window = person.window
    window.document.mark_saved()
    window.files.open("example:resnet20", ask=False)
    person.rest()
    person.choose("edit.find")
    person.type("conv stride=2")
    person.rest()
    yield "find"
    person.press("Escape")
    person.choose("view.palette")
    person.type("arr")
    person.rest()
    yield "commands"
    person.press("Escape")
    window.places.left_tabs.setCurrentWidget(window.outline)
    person.rest()
    yield "outline"
    window.places.left_tabs.setCurrentIndex(0)


def _looking(person: Person) -> Iterator[str]:
    """Figures as colours, and the same network from top to bottom."""
    person.choose("view.overlay.parameters")
    person.choose("view.fit")
    person.rest()
    yield "overlay"
    person.choose("view.overlay.none")
    person.choose("group.collapse_all")
    person.choose("view.direction.down")
    person.choose("view.fit")
    person.rest()
    yield "top-down"
    person.choose("view.direction.right")


def _running(person: Person) -> Iterator[str]:
    """What the network can do, and which layers it owes that to."""
    window = person.window
    window.document.mark_saved()
    window.files.open("example:plain_cnn", ask=False)
    person.wait(lambda: window.loader.is_loaded, "PyTorch")
    for action, scene in (("run.predict", "predicted"), ("run.explain", "explained")):
        person.choose(action)
        person.wait(lambda: not window.desk.is_running, scene)
        person.choose("view.fit")
        person.rest()
        yield scene
    if window.gallery.models is not None:
        window.files.open_model("efficientnet_b7", 224, 10)
        person.wait(lambda: not window.desk.is_running, "EfficientNet-B7")
        person.rest()
        yield "imported"


def _helping(person: Person) -> Iterator[str]:
    window = person.window
    window.document.mark_saved()
    window.files.open("example:plain_cnn", ask=False)
    person.rest()
    person.click(person.at_node(_node(person, "conv2d")))
    person.choose("help.topic")
    person.rest()
    yield "help"
    person.choose("help.shortcuts")
    person.rest()
    yield "shortcuts"
    for dialog in person.over():
        dialog.close()


def _add(person: Person, words: str) -> None:
    """Search for an operator at the pointer and take the first that is found."""
    person.press("Tab", person.window.canvas)
    person.type(words)
    person.press("Return")


def _node(person: Person, op: str, index: int = 0) -> NodeId:
    found = [n.id for n in person.window.document.graph.nodes.values() if n.op == op]
    if len(found) <= index:
        raise ImpatientError(f"there are {len(found)} nodes of {op}, the tour needs {index + 1}")
    return found[index]


if __name__ == "__main__":
    sys.exit(main())
