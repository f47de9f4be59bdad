"""SSFIN: network, its own parts, and conversion of public weights."""
