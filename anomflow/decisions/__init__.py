"""Decisions: pure functions from judged rows to candidates for an alert, one kind a file."""
