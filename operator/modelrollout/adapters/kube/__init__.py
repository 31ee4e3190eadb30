"""The API server, through our own thin client."""
