"""What the tutorials are played on: `python -m e2e.tutorials labels` or `llm`."""
