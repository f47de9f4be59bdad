"""Which bands of a scene a model reads, and with which sensor."""
