"""The networks, one room each, and the registry that names them."""
