"""The `anomflow` command: one file a group of commands in ``cli.commands``, found by name."""
