"""Training one network by gradient descent: from a random start, or from predicted parameters."""
