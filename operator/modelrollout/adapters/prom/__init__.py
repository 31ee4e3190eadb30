"""Prometheus, through prometheus-api-client."""
