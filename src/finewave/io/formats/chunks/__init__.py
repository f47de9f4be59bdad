"""Packed chunks, checked before they are unpacked."""
