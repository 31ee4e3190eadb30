"""The asyncio engine: queue, store, gather, commit, evidence rounds, leader. Knows ports, not Kubernetes."""
