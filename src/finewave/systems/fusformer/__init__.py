"""Fusformer: network, parts of its own, weights of the public code."""
