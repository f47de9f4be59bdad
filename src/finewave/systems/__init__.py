"""The networks, one package each, and their registry."""
