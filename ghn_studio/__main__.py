"""The program: ``ghn-studio`` and ``python -m ghn_studio``.

Without a subcommand, or with a network, the window opens; everything else is the command
line's. This is the only module that knows both, for neither may import the other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or names_a_network(arguments):
        from ghn_studio.gui.app import main as open_window

        return open_window(arguments)
    from ghn_studio.cli import main as run_command

    return run_command(arguments)


def names_a_network(arguments: Sequence[str]) -> bool:
    """True if the only argument is something the window can open."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        return False
    text = arguments[0]
    return text.endswith((".ghn", ".onnx")) or text.startswith(("example:", "deepnets:")) or Path(text).is_file()


if __name__ == "__main__":
    sys.exit(main())
