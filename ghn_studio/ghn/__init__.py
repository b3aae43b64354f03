"""Graph hypernetworks: cards, encoding, networks, prediction, training."""
