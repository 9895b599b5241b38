"""Model stores in buckets, over what stands for the clouds: what fails, who may, and the jobs themselves."""

from __future__ import annotations
