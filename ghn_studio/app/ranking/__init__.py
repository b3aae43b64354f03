"""Ranking networks by what their predicted parameters achieve, and choosing among them."""
