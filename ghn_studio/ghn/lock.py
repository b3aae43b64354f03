"""A folder that one run at a time may write to; standard library only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ghn_studio.errors import TrainingError

LOCK_FILE = ".lock"

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make ``folder`` if need be and hold it.

    The lock belongs to the open file, so the system lifts it when the process ends,
    however it ends; the file itself stays and means nothing.

    Raises:
        TrainingError: Somebody else holds the folder, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("ab")
    except OSError as error:
        raise TrainingError(f"'{folder}' cannot be written to: {error.strerror}; choose another --out") from error
    with file:
        try:
            _try_lock(file.fileno())
        except (BlockingIOError, PermissionError):
            raise TrainingError(
                f"another run is writing to '{folder}'; wait for it, stop it, or choose another --out"
            ) from None
        except OSError as error:
            raise TrainingError(
                f"'{folder}' lies where files cannot be locked ({error.strerror}); choose a local folder as --out"
            ) from error
        yield
