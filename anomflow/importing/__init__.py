"""Bring a metrics folder of Anomstack over: texts in, texts and a report out; reading and writing is the caller's.

The facts about Anomstack (its defaults, keys, variables) stand in ``facts``, ``environment`` and ``anomflow.batches.anomstack``.
"""

from anomflow.importing.defaults import merge_defaults
from anomflow.importing.documents import Source
from anomflow.importing.environment import read_env, translate_env
from anomflow.importing.notes import Note, escape
from anomflow.importing.plan import Plan, build_plan

__all__ = ["Note", "Plan", "Source", "build_plan", "escape", "merge_defaults", "read_env", "translate_env"]
