"""Look at what batches are connected to: does it answer, how fast, what may Anomflow do there, and what to do where it may not."""

from anomflow.doctor.channels import check_channel
from anomflow.doctor.checks import Check, Finding, Runner
from anomflow.doctor.connections import Connection, find_connections
from anomflow.doctor.machine import check_functions, check_kernels
from anomflow.doctor.stores import check_store
from anomflow.doctor.warehouses import check_source, check_warehouse

__all__ = [
    "Check",
    "Connection",
    "Finding",
    "Runner",
    "check_channel",
    "check_functions",
    "check_kernels",
    "check_source",
    "check_store",
    "check_warehouse",
    "find_connections",
]
