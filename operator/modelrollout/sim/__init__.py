"""A virtual world around the real decision and evidence code: simulation, and replay of journals and recorded data."""
