"""Scoring a model on a data set: baselines, protocols, the evaluator."""
