"""The program without its face: document, tasks, settings. No Qt; torch only inside a running task."""
