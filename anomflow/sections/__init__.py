"""The settings of a metric batch in sections: one frozen model a job or idea, each key as it stands in the YAML.

Defaults exist here and nowhere else; ``anomflow.spec`` puts the sections together.
"""
