"""The window: Qt Widgets over the document and the tasks of ``app``. The only room that imports PySide6."""
