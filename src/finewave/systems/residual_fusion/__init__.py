"""Fusion by local linear regression and a small network for what it leaves over."""
