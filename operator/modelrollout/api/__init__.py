"""The resources as pydantic models, their CRDs, and conversion to core values."""
