"""Methods without training, or with a closed form."""
