"""Every command of the window in one table: menus, tool bar, shortcuts and the cheat sheet are made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu, QMenuBar, QWidget

from ghn_studio.app.drawing.overlays import MEASURES
from ghn_studio.gui import icons


@dataclass(frozen=True, slots=True)
class WindowState:
    """What decides whether an action makes sense now."""

    nodes: int = 0
    selected: int = 0
    can_paste: bool = False
    undo_label: str | None = None
    redo_label: str | None = None
    problems: int = 0
    is_running: bool = False
    is_stopping: bool = False
    has_result: bool = False
    has_explanation: bool = False
    has_scales: bool = False  # of the weights that were predicted
    all_pinned: bool = False  # every selected node is
    groups: int = 0
    in_group: bool = False  # a group is selected, or all that is selected lies in one
    is_inside: bool = False  # of a group that was entered


#: Answers why an action is not available, or "" when it is.
Rule = Callable[[WindowState], str]


def _always(state: WindowState) -> str:
    return ""


def _needs_nodes(state: WindowState) -> str:
    return "" if state.nodes else "The canvas is empty."


def _needs_selection(state: WindowState) -> str:
    return "" if state.selected else "Select a node first."


def _needs_two(state: WindowState) -> str:
    return "" if state.selected > 1 else "Select two nodes or more first."


def _needs_three(state: WindowState) -> str:
    return "" if state.selected > 2 else "Select three nodes or more first."


def _needs_one(state: WindowState) -> str:
    return "" if state.selected == 1 else "Select one node first."


def _needs_groups(state: WindowState) -> str:
    return "" if state.groups else "The network has no groups; select nodes and press Ctrl+G to make one."


def _needs_group(state: WindowState) -> str:
    return "" if state.in_group else "Select a group, or a node in one, first."


def _needs_inside(state: WindowState) -> str:
    return "" if state.is_inside else "The whole network is shown already."


def _needs_clipboard(state: WindowState) -> str:
    return "" if state.can_paste else "Copy nodes first."


def _needs_undo(state: WindowState) -> str:
    return "" if state.undo_label is not None else "Nothing to undo."


def _needs_redo(state: WindowState) -> str:
    return "" if state.redo_label is not None else "Nothing to redo."


def _needs_rest(state: WindowState) -> str:
    return "Something is running; cancel it or wait for its end." if state.is_running else ""


def _needs_sound_network(state: WindowState) -> str:
    if not state.nodes:
        return "The canvas is empty: open an example or drag operators onto it."
    if state.is_running:
        return _needs_rest(state)
    if state.problems:
        problems = "1 problem" if state.problems == 1 else f"{state.problems} problems"
        return f"The network has {problems}; see the Problems panel."
    return ""


def _needs_explanation(state: WindowState) -> str:
    return "" if state.has_explanation else "Explain the network first (Run > Explain)."


def _needs_scales(state: WindowState) -> str:
    return "" if state.has_scales else "Predict the network first (Run > Predict & Evaluate)."


def _needs_job(state: WindowState) -> str:
    if state.is_stopping:
        return "Stopping…"
    return "" if state.is_running else "Nothing is running."


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One command. ``id`` is its ``objectName``; a title with "…" asks before it acts."""

    id: str
    title: str
    menu: str
    shortcut: QKeySequence.StandardKey | str | None = None
    icon: str = ""
    tip: str = ""
    rule: Rule = _always
    group: str = ""  # one of a set of exclusive choices
    separated: bool = False  # a line above it in the menu
    on_canvas: bool = False  # its keys mean something else in text fields and lists


_Key = QKeySequence.StandardKey

ACTIONS = (
    ActionSpec("file.new", "New", "File", _Key.New, "new", "Start with an empty canvas"),
    ActionSpec("file.new_window", "New window", "File", "Ctrl+Shift+N", "", "Open a window with a document of its own"),
    ActionSpec("file.open", "Open…", "File", _Key.Open, "open", "Open a .ghn project or an .onnx network"),
    ActionSpec("file.gallery", "Examples…", "File", "Ctrl+Shift+O", "gallery", "Choose one of the example networks"),
    ActionSpec("file.import_onnx", "Import ONNX…", "File", None, "import", "Turn an .onnx file into a network to edit"),
    ActionSpec("file.load_weights", "Load weights…", "File", None, "tensor",
               "Load values into the network, after a table of what fits", _needs_sound_network),
    ActionSpec("file.save", "Save", "File", _Key.Save, "save", "Save the project", separated=True),
    ActionSpec("file.save_as", "Save as…", "File", "Ctrl+Shift+S", "", "Save the project under another name"),
    ActionSpec("file.export", "Export…", "File", "Ctrl+E", "export",
               "Write PyTorch or ONNX files, source, a hub folder or a project", _needs_sound_network),
    ActionSpec("file.picture", "Export picture…", "File", None, "image",
               "Save the drawing as PNG or SVG", _needs_nodes),
    ActionSpec("file.settings", "Settings…", "File", "Ctrl+,", "settings",
               "Theme, size, threads and the data folder", separated=True),
    ActionSpec("file.close", "Close window", "File", "Ctrl+W", "close", "Close this window", separated=True),
    ActionSpec("file.quit", "Quit", "File", "Ctrl+Q", "quit", "Close every window"),
    ActionSpec("edit.undo", "Undo", "Edit", _Key.Undo, "undo", "Take the last edit back", _needs_undo),
    ActionSpec("edit.redo", "Redo", "Edit", "Ctrl+Shift+Z", "redo", "Make the edit again", _needs_redo),
    ActionSpec("edit.cut", "Cut", "Edit", _Key.Cut, "cut", "Copy the selected nodes and delete them",
               _needs_selection, separated=True, on_canvas=True),
    ActionSpec("edit.copy", "Copy", "Edit", _Key.Copy, "copy", "Copy the selected nodes", _needs_selection,
               on_canvas=True),
    ActionSpec("edit.paste", "Paste", "Edit", _Key.Paste, "paste", "Add the copied nodes", _needs_clipboard,
               on_canvas=True),
    ActionSpec("edit.duplicate", "Duplicate", "Edit", "Ctrl+D", "duplicate", "Copy the selected nodes beside them",
               _needs_selection, on_canvas=True),
    ActionSpec("edit.paste_inputs", "Paste with inputs", "Edit", "Ctrl+Shift+V", "paste",
               "Add the copied nodes and draw their wires from outside again", _needs_clipboard, on_canvas=True),
    ActionSpec("edit.copy_source", "Copy as PyTorch", "Edit", "Ctrl+Shift+C", "code",
               "Copy PyTorch source of the selection, or of the whole network", _needs_nodes, on_canvas=True),
    ActionSpec("edit.delete", "Delete", "Edit", _Key.Delete, "delete", "Delete the selected nodes and wires",
               on_canvas=True),
    ActionSpec("edit.select_all", "Select all", "Edit", _Key.SelectAll, "select_all", "Select every node", _needs_nodes,
               separated=True, on_canvas=True),
    ActionSpec("edit.select_alike", "Select all of this operator", "Edit", "Ctrl+Shift+A", "",
               "Select every node with the operator of a selected one", _needs_selection, on_canvas=True),
    ActionSpec("edit.find", "Find…", "Edit", _Key.Find, "search", "Find nodes by name, operator, parameter or figure",
               _needs_nodes, separated=True),
    ActionSpec("edit.find_next", "Find next", "Edit", "F3", "", "Go to the next node found", _needs_nodes),
    ActionSpec("edit.find_previous", "Find previous", "Edit", "Shift+F3", "", "Go to the node found before",
               _needs_nodes),
    ActionSpec("edit.producer", "Go to what feeds it", "Edit", "[", "producer",
               "Select the node that feeds the selected one", _needs_selection, on_canvas=True),
    ActionSpec("edit.consumer", "Go to what it feeds", "Edit", "]", "consumer",
               "Select the node that the selected one feeds", _needs_selection, on_canvas=True),
    ActionSpec("edit.link", "Connect in order", "Edit", "W", "",
               "Draw wires between the selected nodes, in the order in which they were chosen", _needs_two,
               separated=True, on_canvas=True),
    ActionSpec("edit.rename", "Rename", "Edit", "F2", "rename", "Edit the name of the selected node in its place",
               _needs_one, on_canvas=True),
    ActionSpec("edit.bypass", "Bypass", "Edit", "M", "bypass",
               "Let the selected nodes pass their input on unchanged, or use them again", _needs_selection,
               on_canvas=True),
    ActionSpec("edit.scale", "Scale width…", "Edit", None, "scale",
               "Make the selected layers, or all, wider or narrower by a factor", _needs_nodes),
    ActionSpec("group.make", "Group", "Edit", "Ctrl+G", "group", "Frame the selected nodes and give them a title",
               _needs_selection, separated=True, on_canvas=True),
    ActionSpec("group.ungroup", "Ungroup", "Edit", "Ctrl+Shift+G", "ungroup", "Keep the nodes without their group",
               _needs_group, on_canvas=True),
    ActionSpec("note.add", "Add note", "Edit", "N", "note", "Write a note at the pointer", on_canvas=True),
    ActionSpec("note.frame", "Comment frame", "Edit", "C", "", "Put a frame with a title around the selected nodes",
               _needs_selection, on_canvas=True),
    ActionSpec("run.predict", "Predict && Evaluate", "Run", "Ctrl+Return", "predict",
               "Predict every parameter and measure the accuracy on test images", _needs_sound_network),
    ActionSpec("run.compare", "Compare with SGD", "Run", "Ctrl+Shift+Return", "compare",
               "Predict, then train the same network from a random start", _needs_sound_network),
    ActionSpec("run.finetune", "Fine-tune", "Run", "Ctrl+Shift+T", "train",
               "Train on from the predicted or loaded parameters, beside training from scratch", _needs_sound_network),
    ActionSpec("run.explain", "Explain", "Run", "Ctrl+Shift+Y", "why",
               "Measure what each layer's predicted parameters are worth", _needs_sound_network),
    ActionSpec("run.datasets", "Data sets…", "Run", "Ctrl+Shift+D", "dataset",
               "Download, look at and delete data sets"),
    ActionSpec("run.rank", "Rank networks", "Run", "Ctrl+Shift+K", "filter",
               "Put variants, splits or chosen networks in order by their predicted parameters"),
    ActionSpec("run.show", "Earlier runs", "Run", "Ctrl+Shift+R", "log", "What was run before: compare, repeat, go on"),
    ActionSpec("run.cancel", "Cancel", "Run", "Ctrl+.", "stop", "Stop what is running", _needs_job, separated=True),
    ActionSpec("ghn.show", "Show the list", "Hypernetworks", "Ctrl+Shift+H", "network",
               "Hypernetworks that are installed or can be downloaded"),
    ActionSpec("ghn.train", "Train a GHN…", "Hypernetworks", "Ctrl+T", "train",
               "Train a hypernetwork on a dataset, or continue a training", _needs_rest),
    ActionSpec("ghn.reproduce", "Papers' table…", "Hypernetworks", None, "compare",
               "Prediction against training on networks of several splits, beside the official figures"),
    ActionSpec("ghn.add", "Add file…", "Hypernetworks", None, "add",
               "Add a GHN-1, GHN-2, MLP or GHN-3 file of the official code", _needs_rest),
    ActionSpec("view.shelf", "Panels below", "View", "Ctrl+J", "", "Open or shut the panels below the canvas"),
    ActionSpec("view.palette", "Command palette…", "View", "Ctrl+K", "command",
               "Find any command, operator, file or node"),
    ActionSpec("view.fit", "Fit", "View", "Home", "fit", "Show the whole network", _needs_nodes, on_canvas=True),
    ActionSpec("view.zoom_in", "Zoom in", "View", _Key.ZoomIn, "zoom_in", "Larger"),
    ActionSpec("view.zoom_out", "Zoom out", "View", _Key.ZoomOut, "zoom_out", "Smaller"),
    ActionSpec("view.arrange", "Arrange", "View", "Shift+L", "arrange", "Lay all nodes out in layers", _needs_nodes,
               separated=True, on_canvas=True),
    ActionSpec("view.arrange_selection", "Arrange selection", "View", "L", "arrange",
               "Lay the selected nodes out where they are", _needs_two, on_canvas=True),
    ActionSpec("view.direction.right", "Left to right", "View/Direction", None, "arrange",
               "Arrange in layers from left to right, now and from now on", group="direction"),
    ActionSpec("view.direction.down", "Top down", "View/Direction", None, "arrange_down",
               "Arrange in layers from top to bottom, now and from now on", group="direction"),
    ActionSpec("view.pin", "Pin", "View", "P", "pin", "Keep the selected nodes where they are when others are arranged",
               _needs_selection, on_canvas=True),
    ActionSpec("view.align.left", "Left sides", "View/Align", None, "align_left",
               "Bring the left sides of the selected nodes into line", _needs_two),
    ActionSpec("view.align.centre", "Centres", "View/Align", None, "align_centre",
               "Bring the selected nodes into one column", _needs_two),
    ActionSpec("view.align.right", "Right sides", "View/Align", None, "align_right",
               "Bring the right sides of the selected nodes into line", _needs_two),
    ActionSpec("view.align.top", "Tops", "View/Align", None, "align_top",
               "Bring the upper sides of the selected nodes into line", _needs_two, separated=True),
    ActionSpec("view.align.middle", "Middles", "View/Align", None, "align_middle",
               "Bring the selected nodes into one row", _needs_two),
    ActionSpec("view.align.bottom", "Bottoms", "View/Align", None, "align_bottom",
               "Bring the lower sides of the selected nodes into line", _needs_two),
    ActionSpec("view.distribute.across", "Distribute horizontally", "View/Align", None, "distribute_across",
               "Give the selected nodes equal gaps from left to right", _needs_three, separated=True),
    ActionSpec("view.distribute.down", "Distribute vertically", "View/Align", None, "distribute_down",
               "Give the selected nodes equal gaps from top to bottom", _needs_three),
    ActionSpec("group.toggle", "Collapse or expand", "View/Groups", "E", "collapse",
               "Draw the group as one block, or as a frame around its nodes", _needs_group, on_canvas=True),
    ActionSpec("group.enter", "Open inside", "View/Groups", "Return", "enter",
               "Show only the inside of the selected group", _needs_selection, on_canvas=True),
    ActionSpec("group.leave", "Go back out", "View/Groups", None, "leave", "Show what is around the group  (Esc)",
               _needs_inside),
    ActionSpec("group.collapse_all", "Collapse all", "View/Groups", "Shift+E", "",
               "Draw every group as one block", _needs_groups, separated=True, on_canvas=True),
    ActionSpec("group.expand_all", "Expand all", "View/Groups", "Ctrl+Shift+E", "", "Draw every node",
               _needs_groups, on_canvas=True),
    ActionSpec("group.depth.1", "To depth 1", "View/Groups", None, "", "Draw the outermost groups as blocks",
               _needs_groups),
    ActionSpec("group.depth.2", "To depth 2", "View/Groups", None, "",
               "Open the outermost groups, and draw those in them as blocks", _needs_groups),
    ActionSpec("group.depth.3", "To depth 3", "View/Groups", None, "",
               "Open the groups of two levels, and draw those in them as blocks", _needs_groups),
    ActionSpec("view.overlay.none", "None", "View/Overlay", "0", "", "Colour nodes by what they are",
               group="overlay", on_canvas=True),
    *(ActionSpec(f"view.overlay.{m.id}", m.title, "View/Overlay", str(i), "", m.tip, _needs_nodes, group="overlay",
                 on_canvas=True) for i, m in enumerate(MEASURES, 1)),
    ActionSpec("view.overlay.worth", "Worth to the prediction", "View/Overlay", str(len(MEASURES) + 1), "",
               "Accuracy lost without each layer's predicted parameters", _needs_explanation, group="overlay",
               on_canvas=True),
    ActionSpec("view.overlay.scale", "Size of predicted weights", "View/Overlay", str(len(MEASURES) + 2), "",
               "Root mean square of each layer's predicted weights, relative to a fresh start", _needs_scales,
               group="overlay", on_canvas=True),
    ActionSpec("view.theme.system", "Follow the system", "View/Theme", group="theme"),
    ActionSpec("view.theme.light", "Light", "View/Theme", group="theme"),
    ActionSpec("view.theme.dark", "Dark", "View/Theme", group="theme"),
    ActionSpec("help.topic", "Help on the selection", "Help", "F1", "help",
               "The page about the selected operator, or the manual's first page"),
    ActionSpec("help.manual", "Manual", "Help", "Shift+F1", "contents", "All chapters, inside the window"),
    ActionSpec("help.shortcuts", "Keyboard shortcuts", "Help", "Ctrl+/", "keyboard", "Every command with its keys"),
    ActionSpec("help.hints", "Show the hints again", "Help", None, "", "Show each first-use hint once more"),
    ActionSpec("help.log", "Show the log", "Help", None, "log", "What happened, for a bug report"),
    ActionSpec("help.about", "About GHN Studio", "Help", None, "info", "Version and licence", separated=True),
)

#: Second keys that people know from elsewhere.
_EXTRA_KEYS = {"edit.delete": "Backspace", "view.zoom_in": "Ctrl+=", "help.shortcuts": "?"}


class ActionSet:
    """The window's actions by id, with the menus they appear in."""

    def __init__(self, window: QMainWindow, handlers: Mapping[str, Callable[[], object]]) -> None:
        """Make one ``QAction`` per table row and add it to ``window``.

        Raises:
            KeyError: A row has no handler.
        """
        self._actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            action = QAction(spec.title, window)
            action.setObjectName(spec.id)
            if spec.shortcut is not None:
                action.setShortcuts(_keys(spec))
            handler = handlers[spec.id]
            action.triggered.connect(lambda _checked=False, handler=handler: handler())
            if spec.group:
                action.setCheckable(True)
                self._group(spec.group, window).addAction(action)
            if not spec.on_canvas:
                window.addAction(action)
            self._actions[spec.id] = action
        self.refresh_icons()
        self.refresh(WindowState())

    def __getitem__(self, action_id: str) -> QAction:
        return self._actions[action_id]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self._actions.values())

    def refresh(self, state: WindowState) -> None:
        """Enable what makes sense in ``state``; a disabled action says why in its tooltip."""
        for spec in ACTIONS:
            action = self._actions[spec.id]
            reason = spec.rule(state)
            action.setEnabled(not reason)
            action.setToolTip(_tooltip(spec, action, reason))
            action.setStatusTip(reason or spec.tip)
        self._actions["edit.undo"].setText(f"Undo {state.undo_label}" if state.undo_label else "Undo")
        self._actions["view.pin"].setText("Unpin" if state.all_pinned else "Pin")
        self._actions["edit.redo"].setText(f"Redo {state.redo_label}" if state.redo_label else "Redo")

    def refresh_icons(self) -> None:
        """Draw the icons again, in the colours of the current theme."""
        for spec in ACTIONS:
            if spec.icon:
                self._actions[spec.id].setIcon(icons.icon(spec.icon))

    def bind_to_canvas(self, canvas: QWidget) -> None:
        """Let the keys of canvas actions work while the canvas has the focus, and nowhere else."""
        for spec in ACTIONS:
            if spec.on_canvas:
                self._actions[spec.id].setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
                canvas.addAction(self._actions[spec.id])

    def fill(self, bar: QMenuBar, recent: QMenu) -> dict[str, QMenu]:
        """Build the menus and return them by title; ``recent`` goes below "Open"."""
        menus: dict[str, QMenu] = {}
        for spec in ACTIONS:
            menu = _menu(spec.menu, bar, menus)
            if spec.separated:
                menu.addSeparator()
            menu.addAction(self._actions[spec.id])
            if spec.id == "file.open":
                menu.addMenu(recent)
        return menus

    def _group(self, name: str, window: QMainWindow) -> QActionGroup:
        if name not in self._groups:
            self._groups[name] = QActionGroup(window)
        return self._groups[name]


def shortcut_rows() -> Iterator[tuple[str, str, str]]:
    """Menu, title and keys of every action that has keys, for the cheat sheet."""
    for spec in ACTIONS:
        if spec.shortcut is not None:
            texts = [k.toString(QKeySequence.SequenceFormat.NativeText) for k in _keys(spec)]
            first = texts[:1]  # the rest are the same on unusual keyboards
            keys = ", ".join(first + [t for t in texts[1:] if t in _EXTRA_KEYS.values()])
            yield spec.menu, spec.title.rstrip("…").replace("&&", "&"), keys


def _keys(spec: ActionSpec) -> list[QKeySequence]:
    assert spec.shortcut is not None
    key = spec.shortcut
    keys = [QKeySequence(key)] if isinstance(key, str) else QKeySequence.keyBindings(key)
    if spec.id in _EXTRA_KEYS:
        keys.append(QKeySequence(_EXTRA_KEYS[spec.id]))
    return keys


def _tooltip(spec: ActionSpec, action: QAction, reason: str) -> str:
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    first = spec.tip or spec.title
    text = f"{first}  ({keys})" if keys else first
    return f"{text}\n{reason}" if reason else text


def _menu(path: str, bar: QMenuBar, menus: dict[str, QMenu]) -> QMenu:
    if path not in menus:
        parent, _, title = path.rpartition("/")
        menus[path] = (_menu(parent, bar, menus) if parent else bar).addMenu(title)
        menus[path].setToolTipsVisible(True)
    return menus[path]

