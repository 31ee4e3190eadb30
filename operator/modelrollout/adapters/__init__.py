"""The only places that speak to the outside."""
