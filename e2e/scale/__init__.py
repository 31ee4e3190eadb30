"""`make bench-scale`: what a hundred to five thousand rollouts cost. `make soak`: an operator under churn for hours."""
