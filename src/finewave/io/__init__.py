"""Images and physics, no learning: scenes and their files, sensors, degradation."""
