"""Where torch runs networks: building, executing, data, evaluation, training."""
