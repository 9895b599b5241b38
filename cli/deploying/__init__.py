"""Carry deployments out through the API of a Prefect server."""
