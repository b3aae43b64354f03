"""Open files, recovery copies and what is left of a crash. No Qt."""
