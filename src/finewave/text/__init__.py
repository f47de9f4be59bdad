"""Texts and numbers as files state them, read without surprises."""
