"""Imports, exports and weights, from a click or a drop to the file."""
