"""Training: recipes, schedules, phases, checkpoints."""
