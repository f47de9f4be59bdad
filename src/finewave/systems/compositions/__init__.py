"""Networks composed of others."""
