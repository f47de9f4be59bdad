"""What the numbers of a file mean, and arrays read when they are asked for."""
