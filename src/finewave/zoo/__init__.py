"""Models: networks with card and weights; loading, sharing, export."""
