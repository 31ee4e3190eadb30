"""`make bench-scale`: what a hundred to five thousand rollouts cost, at rest, moving, and turning bad all at once."""
