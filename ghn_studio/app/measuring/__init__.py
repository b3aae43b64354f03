"""Measuring a hypernetwork on many networks, in a folder that a later run continues."""
