"""Edits of a project as pure functions: what a person can do to a network, and what would mend it. No Qt."""
