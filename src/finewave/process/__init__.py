"""The running process: allocator, collector, interruptions, processor instructions."""
