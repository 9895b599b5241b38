"""Warehouses, one engine a module; a block class with a `kind` is found by `blocks.discovery`."""
