"""History replayed through the code of production, without a write: what would have alerted, and what would have been found."""

from anomflow.backtest.numbers import replay_series

__all__ = ["replay_series"]
