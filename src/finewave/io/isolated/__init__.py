"""Native readers in a separate process with limits of time and memory, as damaged files can crash or hang them."""
