"""Recipes: their sources, their options and what these accept."""
