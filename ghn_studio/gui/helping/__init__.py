"""The manual in the window, hints, and what the keyboard does."""
