"""GDRRN: network."""
