"""Trained models on whole scenes and files."""
