"""Where the program's own files and the user's files are; standard library only.

The same code runs in a checkout, where ``resources/`` and ``models/`` lie beside the
package, and in an installed wheel, where they lie in ``ghn_studio/_data``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resources() -> Path:
    """The folder of examples, icons and styles."""
    return _shipped("resources")


def models() -> Path:
    """The folder of the hypernetworks that ship with the program."""
    return _shipped("models")


_chosen: Path | None = None


def choose_data(folder: Path) -> None:
    """Keep the user's data in another folder than the system's usual one; ``GHN_STUDIO_DATA`` goes before it."""
    global _chosen
    _chosen = folder


def is_data_chosen_outside() -> bool:
    """True if ``GHN_STUDIO_DATA`` names the user's folder."""
    return bool(os.environ.get("GHN_STUDIO_DATA"))


def user_data() -> Path:
    """The user's folder for settings, downloads and trained hypernetworks.

    It may not exist yet; whoever writes makes it. ``GHN_STUDIO_DATA`` overrides it.
    """
    chosen = os.environ.get("GHN_STUDIO_DATA")
    if chosen:
        return Path(chosen).expanduser()
    if _chosen is not None:
        return _chosen
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "GHN Studio"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "GHN Studio"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "ghn-studio"


def _shipped(name: str) -> Path:
    # The wheel's copy comes first: beside an installed package lies site-packages, where
    # a folder of this name belongs to somebody else.
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
