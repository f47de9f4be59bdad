"""What is measured on scenes beside trained tables: spots, coverage, consistency, robustness, a stereo pair."""
