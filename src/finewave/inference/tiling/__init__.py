"""A scene in tiles: their plan, their reading, their check."""
