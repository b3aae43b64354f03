"""The program: ``ghn-studio`` and ``python -m ghn_studio``.

Without a subcommand, or with networks, windows open; everything else is the command
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
    """True if the window can open every argument. A single one may be any file: the window says why not."""
    if len(arguments) == 1 and not arguments[0].startswith("-") and Path(arguments[0]).is_file():
        return True
    return bool(arguments) and all(
        not text.startswith("-") and (text.lower().endswith((".ghn", ".onnx"))
                                      or text.startswith(("example:", "deepnets:")))
        for text in arguments
    )


if __name__ == "__main__":
    sys.exit(main())
