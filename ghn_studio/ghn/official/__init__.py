"""The graphs that the published GHN-1, GHN-2 and GHN-3 were trained on, rebuilt from an autograd trace."""
