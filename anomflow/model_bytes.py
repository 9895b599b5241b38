"""The bytes of fitted models: immutable objects, named by their checksum.

The bytes: ``MAGIC``, the length of a JSON header, the header, a table of numbers per metric, then each kind of array of
all metrics one after the other (little-endian, each section aligned). Where metrics have detectors of their own:
``CHOSEN_MAGIC``, the length of a header, the header, then the bytes of a model for each detector. Nothing is unpickled
here: estimators of PyOD are bytes like others, which their detector opens when it judges rows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256 as _sha256
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from anomflow.detectors import Choice, Detector, State, build_detector
from anomflow.errors import CorruptModelError, ModelError
from anomflow.models import Chosen, FittedModel, render_json, split_model
from anomflow.signing import verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MAGIC: Final = b"ANOMFLOW MODEL 1"
CHOSEN_MAGIC: Final = b"ANOMFLOW MODELS1"

_ALIGN: Final = 16
_LENGTH: Final = 8
_ROWS: Final = ("seconds", "values", "anomalies")
_FLOAT: Final = np.dtype("<f8")
_TABLE: Final = np.dtype([("rows", "<i8"), ("origin", "<f8"), ("checkpoint", "<f8"), ("checksum", "<u8")])


def object_name(content: bytes) -> str:
    """Return the SHA-256 of a model's bytes, which names it in a store."""
    return _sha256(content).hexdigest()


def dump(model: FittedModel) -> bytes:
    """Return a model's bytes, the same for the same content."""
    if not model.chosen:
        return _dump(model)
    parts = {label: _dump(part) for label, part in split_model(model).items()}
    header = {
        "chosen": {name: [chosen.label, chosen.rows, chosen.evidence] for name, chosen in model.chosen.items()},
        "parts": [[label, len(content)] for label, content in parts.items()],
    }
    text = render_json(header)
    opening = (CHOSEN_MAGIC, len(text).to_bytes(_LENGTH, "little"), text)
    return b"".join([*(part + bytes(-len(part) % _ALIGN) for part in opening), *parts.values()])


def _dump(model: FittedModel) -> bytes:
    detector = build_detector(model.detector, model.options)
    names = sorted(model.states)
    states = [model.states[name] for name in names]
    kinds = _kinds(detector)
    header = {
        "detector": model.detector,
        "options": dict(model.options),
        "settings": dict(model.settings),
        "fingerprint": model.fingerprint,
        "libraries": dict(model.libraries),
        "names": names,
        "layout": {kind: _describe(dtype) for kind, dtype in kinds.items()},
    }
    table = np.array([(state.rows, state.origin, state.checkpoint, state.checksum) for state in states], _TABLE)
    lengths = np.array([[len(_array(state, kind)) for kind in kinds] for state in states], "<i8")
    text = render_json(header)
    opening = (MAGIC, len(text).to_bytes(_LENGTH, "little"), text)
    sections: list[list[NDArray[Any]]] = [[np.frombuffer(part, np.uint8)] for part in opening]
    sections += [[table], [lengths]]
    sections += [[np.ascontiguousarray(_array(state, kind), dtype) for state in states] for kind, dtype in kinds.items()]
    return b"".join(chain.from_iterable(_padded(section) for section in sections))


def load(content: bytes, sha256: str, key: str | None = None) -> FittedModel:
    """Return the model of these bytes, whose arrays are views of them.

    Raises CorruptModelError, before anything is parsed, where their SHA-256 is another or a key is given that did not
    sign them (``anomflow.signing``), and for malformed content.
    """
    if object_name(content) != sha256:
        found = object_name(content)
        raise CorruptModelError(f"the model's SHA-256 is {found}, but {sha256} was published. Restore the object or train again.")
    body = verify(content, key)
    try:
        return _parse_chosen(body) if bytes(body[: len(MAGIC)]) == CHOSEN_MAGIC else _parse(body)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, ModelError) as error:
        raise CorruptModelError(f"the model's bytes are malformed ({error}). Train again.") from error


def _parse_chosen(content: memoryview) -> FittedModel:
    reader = _Reader(content)
    reader.take(np.dtype("u1"), len(CHOSEN_MAGIC))
    header = json.loads(reader.take(np.dtype("u1"), int(reader.take(np.dtype("<u8"), 1)[0])).tobytes())
    parts = {str(label): _parse(reader.take(np.dtype("u1"), size).data) for label, size in header["parts"]}
    reader.finish()
    chosen = {str(name): Chosen(str(label), int(rows), dict(evidence)) for name, (label, rows, evidence) in header["chosen"].items()}
    default, states = parts[""], {name: state for part in parts.values() for name, state in part.states.items()}
    alternatives = {label: Choice(part.detector, part.options) for label, part in parts.items() if label}
    model = replace(default, states=dict(sorted(states.items())), chosen=chosen, alternatives=alternatives)
    found = {label: part.states.keys() for label, part in split_model(model).items()}
    if sorted(chosen) != sorted(states) or found != {label: part.states.keys() for label, part in parts.items()}:
        raise ValueError("its metrics are not those of their detectors")
    return model


def _parse(content: memoryview) -> FittedModel:
    reader = _Reader(content)
    if reader.take(np.dtype("u1"), len(MAGIC)).tobytes() != MAGIC:
        raise ValueError("they do not begin as a model of this version does")
    header = json.loads(reader.take(np.dtype("u1"), int(reader.take(np.dtype("<u8"), 1)[0])).tobytes())
    detector = build_detector(header["detector"], header["options"])
    kinds = _kinds(detector)
    if header["layout"] != {kind: _describe(dtype) for kind, dtype in kinds.items()}:
        raise ValueError(f"its arrays are not those of the detector {header['detector']!r}")
    names = header["names"]
    if not all(isinstance(name, str) for name in names) or sorted(set(names)) != names:
        raise ValueError("its metrics' names are not sorted and different texts")
    table = reader.take(_TABLE, len(names))
    lengths = reader.take(np.dtype("<i8"), len(names) * len(kinds)).reshape(len(names), len(kinds))
    pieces = {kind: reader.split(dtype, lengths[:, k]) for k, (kind, dtype) in enumerate(kinds.items())}
    reader.finish()
    states = {name: _state(table[i], {kind: arrays[i] for kind, arrays in pieces.items()}) for i, name in enumerate(names)}
    for name, state in states.items():
        _check(detector, name, state)
    settings, libraries = dict(header["settings"]), dict(header["libraries"])
    return FittedModel(header["detector"], settings, str(header["fingerprint"]), libraries, states, dict(header["options"]))


class _Reader:
    """Take typed sections from bytes, one after the other."""

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self.position = 0

    def take(self, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        if count < 0 or self.position + count * dtype.itemsize > len(self.content):
            raise ValueError(f"{count} items from byte {self.position} on are not there")
        taken = np.frombuffer(self.content, dtype, count, self.position) if count else np.empty(0, dtype)
        self.position += -(-taken.nbytes // _ALIGN) * _ALIGN
        return taken

    def split(self, dtype: np.dtype[Any], lengths: NDArray[np.int64]) -> list[NDArray[Any]]:
        if (lengths < 0).any():
            raise ValueError("an array has a negative length")
        ends = np.cumsum(lengths)
        taken = self.take(dtype, int(ends[-1]) if len(ends) else 0)
        return [taken[end - length : end] for end, length in zip(ends, lengths, strict=True)]

    def finish(self) -> None:
        if self.position != len(self.content):
            raise ValueError(f"{len(self.content)} bytes are there where {self.position} belong")


def _check(detector: Detector, name: str, state: State) -> None:
    if not (state.rows > 0 and len(state.seconds) > 0 and -np.inf < state.origin <= state.checkpoint == state.seconds[-1]):
        raise ValueError(f"the span of {name!r} is not one")
    problem = detector.check(state)
    if problem is not None:
        raise ValueError(f"the state of {name!r} is unusable: {problem}")


def _state(row: Any, arrays: dict[str, NDArray[Any]]) -> State:
    return State(
        rows=int(row["rows"]),
        origin=float(row["origin"]),
        checkpoint=float(row["checkpoint"]),
        checksum=int(row["checksum"]),
        seconds=arrays.pop("seconds"),
        values=arrays.pop("values"),
        anomalies=arrays.pop("anomalies"),
        memory=arrays,
    )


def _kinds(detector: Detector) -> dict[str, np.dtype[Any]]:
    return {**dict.fromkeys(_ROWS, _FLOAT), **detector.layout}


def _array(state: State, kind: str) -> NDArray[Any]:
    array: NDArray[Any] = getattr(state, kind) if kind in _ROWS else state.memory[kind]
    return array


def _describe(dtype: np.dtype[Any]) -> object:
    return json.loads(json.dumps(dtype.descr if dtype.names else dtype.str))


def _padded(arrays: Sequence[NDArray[Any]]) -> Iterator[Any]:
    yield from (array.view(np.uint8) for array in arrays if array.size)
    yield bytes(-sum(array.nbytes for array in arrays) % _ALIGN)
