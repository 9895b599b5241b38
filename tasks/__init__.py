"""The effects of the stages: reads, writes, fits, deliveries, artifacts, each a thin Prefect task in a run."""
