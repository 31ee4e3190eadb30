"""The operator's process against a real API server behind a proxy that lets things go wrong (level L2)."""
