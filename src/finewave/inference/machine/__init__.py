"""What a prediction takes of the machine: memory, processes, the engine that computes."""
