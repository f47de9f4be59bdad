"""From an observation back to the scene: projections and pseudo-inverses."""
