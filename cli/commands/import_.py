"""`import`: a metrics folder of Anomstack becomes one of Anomflow.

Exit codes: 0 everything came over (there may be things to look at), 1 something did not or is not right yet, 2 wrong usage.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.import_report import Result, print_result
from cli.output import Output

if TYPE_CHECKING:
    from anomflow.errors import Problem
    from anomflow.importing import Plan

_TOO_LARGE: Final = 1_000_000
_DEFAULTS: Final = Path("defaults") / "defaults.yaml"
_SCHEMA: Final = "batch.schema.json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="import")(import_folder)


def import_folder(  # noqa: PLR0917 - the options of the command
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A metrics folder of Anomstack, or a checkout with one.")],
    env: Annotated[Path | None, typer.Option("--env", metavar="FILE", help="Its .env file; values of secrets are not copied.")] = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="The metrics folder to write to, instead of --metrics.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files and defaults that exist and differ.")] = False,
) -> None:
    """Bring the batches, changed defaults and variables of an Anomstack metrics folder over; nothing that exists is overwritten.

    Exit codes: 0 everything came over, 1 something did not or is not right yet, 2 wrong usage.

    Example: anomflow import ../anomstack --env ../anomstack/.env --dry-run
    """
    output: Output = ctx.obj
    target = into or output.metrics
    folder = find_folder(path)
    if folder.resolve() == target.resolve():
        raise typer.BadParameter(f"{folder.as_posix()} is the folder to write to as well; name another with --into", param_hint="PATH")
    environment = _read_env_file(env)
    plan = _plan(folder, target, environment)
    result = _apply_aside(plan, target, output, force=force) if dry_run else _apply(plan, target, output, force=force)
    print_result(result, output, dry_run=dry_run)
    raise typer.Exit(0 if result.is_complete else 1)


def find_folder(path: Path) -> Path:
    """Return the metrics folder that a path means: itself, or the one in a checkout."""
    folder = path / "metrics" if (path / "metrics").is_dir() else path
    if not folder.is_dir():
        raise typer.BadParameter(f"{path.as_posix()} is no folder; name a metrics folder of Anomstack", param_hint="PATH")
    if not any(folder.rglob("*.yaml")):
        raise typer.BadParameter(f"{folder.as_posix()} holds no .yaml file, so there is nothing to import", param_hint="PATH")
    return folder


def _read_env_file(path: Path | None) -> dict[str, str]:
    from anomflow.importing import read_env  # noqa: PLC0415 - `--help` need not wait for it

    if path is None:
        return {}
    try:
        return read_env(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise typer.BadParameter(f"{path.as_posix()} cannot be read: {reason}", param_hint="--env") from None


def _plan(folder: Path, target: Path, environment: dict[str, str]) -> Plan:
    from anomflow.batches import find_names  # noqa: PLC0415 - as above
    from anomflow.importing import Source, build_plan  # noqa: PLC0415 - as above

    taken = {name: path.relative_to(target).as_posix() for name, path in find_names(target).items()} if target.is_dir() else {}
    return build_plan(Source(_read_files(folder), environment, taken, schema=(target / _SCHEMA).is_file()))


def _read_files(folder: Path) -> dict[str, str | None]:
    """Read the texts of a folder; links that lead out of it are left out, what is large or no text is None."""
    inside = folder.resolve()
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.resolve().is_relative_to(inside))
    return {path.relative_to(folder).as_posix(): _read_text(path) for path in files}


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig") if path.stat().st_size <= _TOO_LARGE else None
    except (OSError, UnicodeDecodeError):
        return None


def _apply_aside(plan: Plan, target: Path, output: Output, *, force: bool) -> Result:
    """Import into a copy of the target, so that a dry run tells just what a real one would."""
    with tempfile.TemporaryDirectory(prefix="anomflow-") as folder:
        copy = Path(folder) / "metrics"
        if target.is_dir():
            shutil.copytree(target, copy, symlinks=True)
        result = _apply(plan, copy, output, force=force)
    return _renamed(result, copy.as_posix(), target.as_posix())


def _renamed(result: Result, old: str, new: str) -> Result:
    from dataclasses import replace  # noqa: PLC0415 - as above

    problems = tuple(
        replace(problem, where=problem.where.replace(old, new), message=problem.message.replace(old, new)) for problem in result.problems
    )
    return replace(result, problems=problems)


def _apply(plan: Plan, target: Path, output: Output, *, force: bool) -> Result:
    from anomflow.importing import Note, merge_defaults  # noqa: PLC0415 - as above

    files = {name: _write(target / name, text, force=force) for name, text in plan.files.items()}
    notes = [*plan.notes]
    notes += [Note(name, None, "failed", "exists and differs; --force overwrites it") for name, what in files.items() if what == "kept"]
    path = target / _DEFAULTS
    before = _read_text(path) if path.exists() else ""
    if plan.defaults and before is None:
        notes.append(Note(_DEFAULTS.as_posix(), None, "failed", "cannot be added to: it is not UTF-8 text"))
    elif plan.defaults:
        text, refused = merge_defaults(before or "", plan.defaults, force=force)
        notes += refused
        files[_DEFAULTS.as_posix()] = _write(path, text, force=True)
    batches = tuple(sorted(plan.batches.values()))
    return Result(files, tuple(notes), _check(target, files, batches, output), batches)


def _write(path: Path, text: str, *, force: bool) -> str:
    """Write a file unless it exists and differs; say what was done."""
    exists = path.is_file()
    if exists and path.read_bytes() == text.encode():
        return "unchanged"
    if exists and not force:
        return "kept"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return "overwritten" if exists else "written"


def _check(target: Path, files: Iterable[str], batches: Iterable[str], output: Output) -> tuple[Problem, ...]:
    """Load what is there now, and return the problems of what was imported."""
    from anomflow.batches import find_doubts, load_batches  # noqa: PLC0415 - as above
    from blocks.kinds import read_kinds  # noqa: PLC0415 - as above

    if not target.is_dir():
        return ()
    loaded = load_batches(target, output.environ)
    kinds = read_kinds()
    doubts = [problem for name in batches if name in loaded.enabled for problem in find_doubts(loaded.enabled[name], kinds)]
    ours = {(target / name).as_posix() for name in [*files, _DEFAULTS.as_posix()]}
    return tuple(dict.fromkeys(problem for problem in [*loaded.problems, *doubts] if problem.where in ours))
