"""The command line: options from the task table, progress on stderr, results on stdout, exit codes."""

from ghn_studio.cli.program import main

__all__ = ["main"]
