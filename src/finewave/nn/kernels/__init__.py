"""Operators with implementations of their own: window attention, fused convolution."""
