"""Speed and memory: what ``finewave bench`` measures, each measurement in a process of its own."""
