"""Commands that are killed at any moment, or run out of disk, and are given again."""
