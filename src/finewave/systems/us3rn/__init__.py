"""US3RN: network, parts of its own, weights of the public code."""
