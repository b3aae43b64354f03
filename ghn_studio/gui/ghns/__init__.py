"""Hypernetworks: the list, their cards, and training one."""
