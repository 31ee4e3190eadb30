"""Real data with known changes, not made by us, replayed as streams of errors and of latencies."""
