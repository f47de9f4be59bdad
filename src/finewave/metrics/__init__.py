"""Quality of an image against its reference, by stated conventions."""
