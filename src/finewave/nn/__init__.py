"""Building blocks shared by several systems; plain PyTorch."""
