"""Networks of others: read in a process of their own, joined to layers, compared with what their runtime computes."""
