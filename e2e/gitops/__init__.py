"""What GitOps tools make of a ModelRollout, by their own code, over whole rollouts."""
