"""Every reachable state of small rollouts: the pure decision explored without a cluster, a clock or chance (L0)."""
