"""A real local Kubernetes cluster for tests and demos, with or without a container engine."""
