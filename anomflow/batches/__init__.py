"""Metric batches: found, merged, checked and loaded, each value with the place that it came from."""

from anomflow.batches.batch import Batch, FunctionSource
from anomflow.batches.drafts import find_names, find_owner
from anomflow.batches.layers import Origin
from anomflow.batches.loading import Loaded, load_batch, load_batches

__all__ = ["Batch", "FunctionSource", "Loaded", "Origin", "find_names", "find_owner", "load_batch", "load_batches"]
