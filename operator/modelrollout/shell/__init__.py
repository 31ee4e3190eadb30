"""Entry point of the operator: kopf host, web endpoints, composition root."""
