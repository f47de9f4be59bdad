"""What training needs: recipes, losses, schedules, phases, checkpoints."""
