"""How operators are recognised in PyTorch modules, one file per family; see ``torch_binding``."""
