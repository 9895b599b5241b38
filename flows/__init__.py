"""One Prefect flow per job: the order of its steps, and nothing else."""
