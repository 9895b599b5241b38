"""Prefect blocks: connections to warehouses, model stores and channels. Importing this package imports no driver."""
