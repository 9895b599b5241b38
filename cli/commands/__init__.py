"""The groups of commands; each module here has ``register(app)``."""
