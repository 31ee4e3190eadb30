"""Pure numpy and scipy.special: samples to increments, ticks, guards and assessments."""
