"""`make bench-stats`: what the statistics promise, measured on simulated counts with the product's own code."""
