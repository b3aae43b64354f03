"""Starting: a window before torch, clear words where Qt cannot run, a picture for the README."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ghn_studio.gui import app

ROOT = Path(__file__).resolve().parents[2]

_PROBE = """
    import sys, time
    from ghn_studio.gui import app

    def watch():
        from PySide6.QtCore import QTimer
        from PySide6.QtWidgets import QApplication
        from ghn_studio.gui.main_window import MainWindow
        painted = MainWindow.paintEvent

        def paint(self, event):
            painted(self, event)
            if not hasattr(self, "seen"):
                self.seen = True
                heavy = [m for m in ("torch", "numpy", "pyqtgraph", "onnx", "sklearn") if m in sys.modules]
                print("painted", time.process_time(), len(self.document.graph.nodes), heavy, flush=True)
                QTimer.singleShot(100, lambda: print("after 100 ms", "torch" in sys.modules, flush=True))
                self.loader.started.connect(lambda: (print("import began", flush=True), QApplication.exit(0)))

        MainWindow.paintEvent = paint

    watch()
    sys.exit(app.main([]))  # the import has just begun: nobody waits for its end
"""


def start(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "GHN_STUDIO_SETTINGS": str(tmp_path),
           "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True,
                          timeout=120, check=False)


def test_the_first_paint_needs_no_torch_and_the_import_follows_later(tmp_path):
    done = start(_PROBE, tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    word, seconds, nodes, heavy = lines[0].split(" ", 3)
    assert word == "painted" and heavy == "[]" and int(nodes) > 0
    # Processor time, for the machine may be busy with other things; some 1 s on two cores.
    assert float(seconds) < 2.0
    assert lines[1:] == ["after 100 ms False", "import began"]


def test_without_a_display_one_sentence_says_so(tmp_path):
    code = "import sys; from ghn_studio.gui import app; sys.exit(app.main([]))"
    done = start(code, tmp_path, QT_QPA_PLATFORM="", DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 1
    assert "no display" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the packages are those of Linux systems")
def test_missing_libraries_are_named(tmp_path):
    text = app.missing_libraries_text("libEGL.so.1: cannot open shared object file")
    for package in ("libegl1", "libxcb-cursor0", "libxkbcommon0", "libdbus-1-3", "libfontconfig1"):
        assert package in text
    code = """
        import sys
        sys.modules["PySide6.QtWidgets"] = None
        from ghn_studio.gui import app
        sys.exit(app.main([]))
    """
    done = start(code, tmp_path)
    assert done.returncode == 1 and "apt install libegl1" in done.stderr


def test_exceptions_in_slots_and_threads_reach_the_log(tmp_path):
    code = """
        import logging, threading
        from ghn_studio.gui import app
        logging.basicConfig(format="LOG %(message)s")
        app.install_hooks()
        from PySide6.QtCore import QCoreApplication, QTimer
        qt = QCoreApplication([])
        QTimer.singleShot(0, lambda: 1 / 0)
        QTimer.singleShot(50, qt.quit)
        qt.exec()
        thread = threading.Thread(target=lambda: {}["missing"])
        thread.start()
        thread.join()
    """
    done = start(code, tmp_path)
    assert "LOG unexpected error: division by zero" in done.stderr
    assert "LOG unexpected error: 'missing'" in done.stderr


def test_the_screenshot_script_writes_a_picture(tmp_path):
    target = tmp_path / "shot.png"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = ["--to", str(target), "--scene", "error", "--size", "1200x800"]
    done = subprocess.run(
        [sys.executable, "-m", "ghn_studio.gui.screenshot", *options], env=env, capture_output=True, text=True,
        timeout=120, check=False,
    )
    assert done.returncode == 0, done.stderr
    from PySide6.QtGui import QImage

    image = QImage(str(target))
    assert (image.width(), image.height()) == (1200, 800)


def test_no_first_click_pays_for_an_import(tmp_path):
    """What a comparison and an export import was imported with torch, in the background."""
    pytest.importorskip("torch")
    code = """
        import importlib, sys
        from ghn_studio.gui.jobs.torch_loader import MODULES
        for name in MODULES:
            importlib.import_module(name)
        from ghn_studio.app.architectures import open_architecture
        from ghn_studio.app.requests import CompareRequest, ExportRequest
        from ghn_studio.app.tasks import task
        from ghn_studio.jobs import run
        graph = open_architecture("example:lenet5").architecture
        before = set(sys.modules)
        run(task("compare").start(CompareRequest(steps=1, init="kaiming", head="closed-form"), graph))
        run(task("export").start(ExportRequest(to=sys.argv[1] + "/x.pt", init="kaiming"), graph))
        print(len(set(sys.modules) - before), sorted(set(sys.modules) - before)[:5])
    """
    code = textwrap.dedent(code).replace("sys.argv[1]", repr(str(tmp_path)))
    done = start(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) <= 12, done.stdout
