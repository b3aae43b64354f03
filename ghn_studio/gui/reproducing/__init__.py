"""The papers' table in a window of its own."""
