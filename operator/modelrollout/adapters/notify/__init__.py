"""Receivers outside of the cluster: CloudEvents, Slack-compatible webhooks, Alertmanager."""
