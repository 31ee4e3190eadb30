"""Toy model server, its training, manifests, load generator and the analysis of its records."""
