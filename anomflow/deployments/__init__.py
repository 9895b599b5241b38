"""Batches and ``deploy.yaml`` as deployments of Prefect, and these as the text of ``prefect.yaml``; free of Prefect."""

from anomflow.deployments.building import build_deployments
from anomflow.deployments.checks import find_deploy_problems
from anomflow.deployments.counting import Load, estimate_load
from anomflow.deployments.deployment import Deployment, Schedule, WorkPool
from anomflow.deployments.plan import DeployPlan, read_plan
from anomflow.deployments.rendering import render_prefect_yaml

__all__ = [
    "DeployPlan",
    "Deployment",
    "Load",
    "Schedule",
    "WorkPool",
    "build_deployments",
    "estimate_load",
    "find_deploy_problems",
    "read_plan",
    "render_prefect_yaml",
]
