"""EDSR: network."""
