"""The papers' table: prediction against training on the networks of DeepNets-1M."""
