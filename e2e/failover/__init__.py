"""`make bench-failover`: leaders that die, freeze and are upgraded under traffic, on a full cluster."""
