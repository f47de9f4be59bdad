"""SSJSR, joint super-resolution by 3-D convolutions: network."""
