"""Which metrics are worked on together: slices that bound the memory of a run, parts that are runs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Final

from anomflow.series import metric_shard

# Names that one statement lists.
SLICE_METRICS: Final = 5_000


@dataclass(frozen=True)
class Part:
    """The metrics of one shard of ``shards``, the work of a run of its own."""

    shard: int
    shards: int

    def has(self, name: str) -> bool:
        """Tell whether a metric belongs to this part."""
        return metric_shard(name, self.shards) == self.shard

    def overlaps(self, shard: int, shards: int) -> bool:
        """Tell whether a metric of this part may be one of a shard where metrics are divided into ``shards``.

        >>> [shard for shard in range(6) if Part(1, 3).overlaps(shard, 6)]
        [1, 4]
        """
        return (self.shard - shard) % gcd(self.shards, shards) == 0


def name_twin(batch: str) -> str:
    """Name the deployment whose runs are shards of a batch's runs."""
    return f"{batch}-shard"


@dataclass(frozen=True)
class Slice:
    """Metrics whose rows are read together (None: all there are), and those of them with late or corrected rows, it seems."""

    names: tuple[str, ...] | None = None
    uneven: tuple[str, ...] = ()


def cut_slices(rows: Mapping[str, int], shards: int, limit: int) -> Iterator[tuple[str, ...]]:
    """Cut metrics, given with their counts of rows, into slices of at most ``limit`` rows; one with more is a slice by itself.

    They follow each other by shard and name, so that the model of a shard is loaded once.

    >>> list(cut_slices({"a": 3, "b": 1, "c": 2}, 1, limit=3))
    [('a',), ('b', 'c')]
    """
    taken: list[str] = []
    total = 0
    for name in sorted(rows, key=lambda name: (metric_shard(name, shards), name)):
        if taken and (total + rows[name] > limit or len(taken) == SLICE_METRICS):
            yield tuple(taken)
            taken, total = [], 0
        taken.append(name)
        total += rows[name]
    if taken:
        yield tuple(taken)


def group_shards(names: Iterable[str], shards: int) -> dict[int, list[str]]:
    """Return metrics by shard, in the order of shards; those without a metric are left out."""
    groups: dict[int, list[str]] = {}
    for name in names:
        groups.setdefault(metric_shard(name, shards), []).append(name)
    return dict(sorted(groups.items()))
