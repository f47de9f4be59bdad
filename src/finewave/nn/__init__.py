"""Building blocks that more than one system uses; plain PyTorch, nothing of ours imported."""
