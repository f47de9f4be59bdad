"""Operators with custom implementations: window attention, fused convolution."""
