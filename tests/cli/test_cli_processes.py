"""The command line as a process: start-up, signals, pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "ghn_studio"]

#: Runs the program and says on stderr which heavy libraries it loaded, and its processor time.
MEASURED = """
import sys, time
from ghn_studio.cli import main
try:
    code = main({arguments!r})
except SystemExit as end:
    code = end.code
loaded = sorted({{"torch", "numpy", "onnx", "sklearn", "PySide6"}} & set(sys.modules))
print(code or 0, loaded, time.process_time(), file=sys.stderr)
"""


def _measured(*arguments: str) -> tuple[str, float]:
    code = MEASURED.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    summary, _, seconds = done.stderr.strip().splitlines()[-1].rpartition(" ")
    return summary, float(seconds)


@pytest.mark.parametrize("line", ["--help", "list operators", "list examples", "list ghns", "predict --help"])
def test_what_needs_no_torch_starts_at_once(line: str) -> None:
    summary, seconds = _measured(*line.split())
    assert summary == "0 []"
    # 0.15 s when the machine is idle; processor time, so that a busy machine does not matter.
    assert seconds < 0.6


def test_the_start_up_test_can_fail() -> None:
    code = MEASURED.format(arguments=["--help"]).replace("import sys, time", "import sys, time, numpy")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "0 ['numpy']" in done.stderr


def test_python_m_is_the_program() -> None:
    done = subprocess.run([*COMMAND, "list", "datasets", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["datasets"][0]["name"] == "digits"
    assert done.stderr == ""


def test_a_reader_that_leaves_is_no_error_worth_words() -> None:
    process = subprocess.Popen([*COMMAND, "list", "operators"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(30) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_terminal_without_our_letters_is_no_error() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "list", "datasets"], capture_output=True, env=environment)
    assert done.returncode == 0
    assert b"Handwritten digits" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="signals are sent differently there")
@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGINT, 130, b"interrupted"), (signal.SIGTERM, 143, b"")]
)
def test_a_stopped_program_cleans_up(tmp_path: Path, number: int, code: int, words: bytes) -> None:
    """Sampling is stopped in the middle: whole files stay, nothing half-written does."""
    folder = tmp_path / "nets"
    process = subprocess.Popen(
        [*COMMAND, "sample", "train", "--count", "200000", "--to", str(folder)], stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not (folder.is_dir() and any(folder.iterdir())):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    assert process.stderr is not None
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert words in err
    assert b"Traceback" not in err
    assert all(p.suffix == ".ghn" and p.read_bytes().endswith(b"}\n") for p in folder.iterdir())
