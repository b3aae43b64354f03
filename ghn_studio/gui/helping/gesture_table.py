"""What the canvas does with keys, buttons and wheel that no menu shows: one table for the sheet and the manual."""

from __future__ import annotations

#: What it does, and how.
GESTURES = (
    ("Add an operator by name", "Tab, or double-click on an empty place"),
    ("Add an operator that fits a wire", "Pull a wire and drop it on an empty place"),
    ("Insert an operator, or loose nodes", "Drop them on a wire; Alt prevents it"),
    ("Connect", "Drag from port to port, either way"),
    ("Replace a wire", "Drop another on the same input"),
    ("Move all wires of an output", "Ctrl and drag from the port"),
    ("Remove the wires of a port", "Alt and click"),
    ("Cut wires", "Ctrl and the right button, or Y, and drag across them"),
    ("Connect without the mouse", "Select nodes in their order, then W"),
    ("Go to a connected node", "Alt or Ctrl and an arrow key; Shift adds it to the selection"),
    ("Edit parameters", "Enter, or double-click"),
    ("Rename", "F2, or double-click on the title"),
    ("Open the menu of the selection", "Menu key, or right click"),
    ("Select", "Click; Shift or Ctrl adds to the selection"),
    ("Select what is inside", "Drag over an empty place"),
    ("Show the selection", "F"),
    ("Move the selection", "Drag, or arrow keys; Shift for small steps"),
    ("Move off the grid and past guides", "Hold Ctrl while dragging"),
    ("Duplicate while dragging", "Alt and drag"),
    ("Pass a node by, or use it again", "M"),
    ("Open a group, leave it", "Return or double-click, Esc"),
    ("Expand or collapse a group", "The arrow before its title, or E"),
    ("Move a group, or a comment frame with what lies in it", "Drag its title"),
    ("Write a note; frame the selection", "N; C"),
    ("Move the view", "Middle button, Space and drag, or two fingers"),
    ("Zoom", "Wheel or pinch, at the pointer"),
    ("Step through what was found", "Enter, Shift+Enter; Ctrl+Enter selects all"),
    ("Let go", "Esc"),
)
