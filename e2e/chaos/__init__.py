"""Proof by fault: the operator's own code against an API server, time and metrics that misbehave on purpose."""
