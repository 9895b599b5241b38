"""Channels that deliver messages, one a file; a file's name is the kind that ``alert_methods`` names."""
