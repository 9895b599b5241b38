"""Which models the installed PyOD has, found in its source text: importing all of them takes seconds, and packages that few have."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anomflow.errors import MissingDependencyError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE: Final = "pyod.models"
ROOT_CLASS: Final = "BaseDetector"

_FUTURE: Final = (
    "gives a row the score of windows that hold later rows, so that no row could be judged when it arrives; "
    "KNN with a larger lags_n compares windows that end at the row"
)
_GRAPH: Final = "judges the nodes of a graph, and a metric's rows are none"
_LABELS: Final = "learns from labelled anomalies, and there are none"
_PARTS: Final = "is made of other models, which a setting cannot name; list several in model_configs instead"
_AMONG: Final = "compares a row with those that are judged together with it only, and a row that arrives is judged alone"
_COSTLY: Final = "takes about a tenth of a second a row: it solves for a graph of all rows anew; KNN compares rows as well"
_MEDIA: Final = "judges texts, images or sounds, and a metric's rows are numbers"

# By module, where every model of it is meant.
REFUSED_MODULES: Final[Mapping[str, str]] = {"ts_": _FUTURE, "pyg_": _GRAPH}
REFUSED: Final[Mapping[str, str]] = {
    "XGBOD": _LABELS,
    "DevNet": _LABELS,
    "LSCP": _PARTS,
    "SUOD": _PARTS,
    "EmbeddingOD": _MEDIA,
    "MultiModalOD": _MEDIA,
    "AudioAE": _MEDIA,
    "CD": _AMONG,
    "COF": _AMONG,
    "LMDD": _AMONG,
    "LOCI": _AMONG,
    "RGraph": _COSTLY,
    "ROD": _AMONG,
    "SOD": _AMONG,
    "SOS": _AMONG,
}
# Models that judge a single column.
ONE_COLUMN: Final = frozenset({"MAD"})
# Packages that an extra of ours installs, by the name that they are imported by.
EXTRAS: Final[Mapping[str, str]] = {"torch": "torch"}


@dataclass(frozen=True)
class Entry:
    """A model: its class, the module that defines it, the names that its constructor takes (None: any)."""

    name: str
    module: str
    parameters: tuple[str, ...] | None
    missing: tuple[str, ...]

    @property
    def refusal(self) -> str | None:
        """Say why the model cannot judge a metric row by row, None where it can."""
        of_module = (reason for prefix, reason in REFUSED_MODULES.items() if self.module.startswith(prefix))
        return REFUSED.get(self.name, next(of_module, None))


def _folder() -> Path:
    found = find_spec("pyod")  # which does not import it
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if not places:
        raise ModelError("PyOD is not installed; install it with: pip install pyod")
    return Path(places[0]) / "models"


@cache
def _syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def find_models() -> Mapping[str, Path]:
    """Find the classes of detectors in the installed PyOD and the files that define them."""
    classes: dict[str, tuple[Path, tuple[str, ...]]] = {}
    for path in sorted(_folder().glob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("class ") and "(" in line:
                name, bases = line[6:].split("(", 1)
                classes.setdefault(name.strip(), (path, tuple(base.strip() for base in bases.split(")")[0].split(","))))
    known = {ROOT_CLASS}
    while more := {name for name, (_, bases) in classes.items() if name not in known and known.intersection(bases)}:
        known |= more
    return {name: classes[name][0] for name in sorted(known - {ROOT_CLASS}) if not name.startswith("Base")}


@cache
def find_model(name: str) -> Entry:
    """Return what is known of a model; raise ModelError, with those that there are, for a name that is none."""
    models = find_models()
    if name not in models:
        close = get_close_matches(name, models, n=1, cutoff=0.5) or [known for known in models if known.lower() == name.lower()]
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ModelError(f"{name!r} is no model of PyOD.{hint} Models: {', '.join(usable_models())}")
    module = _syntax(models[name])
    body = next(part for part in module.body if isinstance(part, ast.ClassDef) and part.name == name)
    return Entry(name, models[name].stem, _parameters(body), tuple(sorted(_missing(models[name]))))


@cache
def usable_models() -> tuple[str, ...]:
    """List the models that can judge a metric, whether or not the packages that they need are installed."""
    return tuple(name for name in find_models() if find_model(name).refusal is None)


def _parameters(body: ast.ClassDef) -> tuple[str, ...] | None:
    maker = next((part for part in body.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
    if maker is None or maker.args.kwarg is not None:
        return None
    return tuple(argument.arg for argument in (*maker.args.args[1:], *maker.args.kwonlyargs))


def _missing(path: Path) -> Iterator[str]:
    """Yield the packages that a module imports at once, it or another one of PyOD that it imports, and that are not there."""
    for name in _imports(path, frozenset()):
        if name not in sys.stdlib_module_names and find_spec(name) is None:
            yield name


def _imports(path: Path, seen: frozenset[Path]) -> set[str]:
    if path in seen:
        return set()
    found: set[str] = set()
    for part in _statements(_syntax(path).body):
        if isinstance(part, ast.Import):
            found |= {alias.name.split(".")[0] for alias in part.names}
        elif part.level == 0:
            found.add((part.module or "").split(".")[0])
        else:
            inner = (path.parents[part.level - 1] / (part.module or "").replace(".", "/")).with_suffix(".py")
            found |= _imports(inner, seen | {path}) if inner.is_file() else set()
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that are not tried: those inside of ``try`` have something to fall back on, or raise a text of their own."""
    for part in body:
        if isinstance(part, ast.Import | ast.ImportFrom):
            yield part
        elif isinstance(part, ast.Try):
            gives_up = all(any(isinstance(step, ast.Raise) for step in ast.walk(each)) for each in part.handlers)
            yield from _statements(part.body) if gives_up and part.handlers else ()


def require_model(name: str) -> Entry:
    """Return a model that can be used here.

    Raises:
        ModelError: there is no such model, or it cannot judge a metric row by row.
        MissingDependencyError: it needs a package that is not installed.
    """
    entry = find_model(name)
    if entry.refusal is not None:
        raise ModelError(f"{name} {entry.refusal}")
    if entry.missing:
        package = next((each for each in entry.missing if each in EXTRAS), entry.missing[0])
        raise MissingDependencyError(f"the model {name}", EXTRAS.get(package, ""), package)
    return entry
