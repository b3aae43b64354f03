"""Ranking networks in the window: who takes part, a table and a chart that fill, and taking the best."""
