"""Native readers that files can crash or hang, in a process of their own with limits of time and memory."""
