"""SLI profiles of model servers and gateways, as data."""
