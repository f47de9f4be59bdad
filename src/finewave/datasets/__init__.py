"""Datasets as their owners publish them, one file each, and the crops that training reads."""
