"""Measures: a load client next to a deployment, or a replay in virtual time."""
