"""Metric batches: found, merged, checked and loaded, each value with the place that it came from."""

from anomflow.batches.batch import Batch, FunctionSource
from anomflow.batches.drafts import find_names, find_owner
from anomflow.batches.layers import Origin
from anomflow.batches.loading import Loaded, load_batch, load_batches
from anomflow.batches.references import Kinds, find_doubts, find_unknown_kinds

__all__ = [
    "Batch",
    "FunctionSource",
    "Kinds",
    "Loaded",
    "Origin",
    "find_doubts",
    "find_names",
    "find_owner",
    "find_unknown_kinds",
    "load_batch",
    "load_batches",
]
