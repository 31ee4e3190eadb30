"""Progressive delivery of ML models on Kubernetes. Holds the version only."""

__version__ = "0.1.0.dev0"
