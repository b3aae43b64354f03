"""Earlier runs: found, compared, opened, repeated, gone on with."""
