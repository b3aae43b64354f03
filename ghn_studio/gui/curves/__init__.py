"""Training curves: the chart, its legend, and the ways out of it."""
