"""`make bench-evidence`: what the evidence of many moving rollouts costs, with answers of a real Prometheus."""
