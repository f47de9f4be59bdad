"""3D-FCNN: network."""
