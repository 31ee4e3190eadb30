"""`make demo`: three rollouts with real traffic on a real local cluster."""
