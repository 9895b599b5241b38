"""The work of `tune`: replay, propose, replay the proposal, print both; write it where asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from anomflow.backtest.run import Backtest, Options, run_backtest
from anomflow.backtest.summary import sum_up
from anomflow.backtest.tuning import Loud, Proposal, find_loudest, find_proposal, set_alert, switch_selection
from anomflow.backtest.words import describe_both, render_rate
from anomflow.batches import load_batch
from anomflow.batches.editing import write_setting
from anomflow.errors import AnomflowError
from cli.backtests import Past, show_progress
from cli.tables import print_facts, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomflow.backtest.summary import Summary
    from cli.output import Output

LOUDEST: Final = 5
# Of the summary's lines: those that another threshold changes, and trials.
_SAME: Final = ("judged",)


@dataclass(frozen=True, eq=False)
class Tuned:
    """A batch's past, what is proposed, what present and proposed settings make of it, and the latter with the other model_selection."""

    past: Past
    proposal: Proposal
    present: Backtest
    proposed: Backtest
    other: Backtest | None = None


@dataclass(frozen=True)
class Wish:
    """The alerts a week that are wanted at most, and whether to replay the other model_selection as well."""

    asked: float
    models: bool = False


def tune_past(past: Past, options: Options, wish: Wish, *, quiet: bool) -> Tuned:
    """Replay a past, find the setting that gives the alerts a week that are asked for, and replay that.

    Raises FrameError where the history is too short to tell.
    """
    with show_progress(3 if wish.models else 2, quiet=quiet) as advance:
        present = proposed = run_backtest(past.rows, past.batch, options, advance(0))
        proposal = find_proposal(present, past.rows, wish.asked)
        batch = set_alert(past.batch, proposal.key, proposal.value)
        if proposal.changes:
            proposed = run_backtest(past.rows, batch, options, advance(1))
        other = run_backtest(past.rows, switch_selection(batch), options, advance(2)) if wish.models else None
    return Tuned(past, proposal, present, proposed, other)


def write_proposal(output: Output, tuned: Tuned) -> bool:
    """Write what is proposed in the batch's file; return whether it changed.

    Raises SettingsError where the batch would be wrong with it or no change of one line does it, AnomflowError where the file
    cannot be written, or something other than the file decides.
    """
    key, value, name = tuned.proposal.key, f"{tuned.proposal.value:g}", tuned.past.name
    path = load_batch(output.metrics, name, output.environ, {key: value}).path
    try:
        changed = tuned.proposal.changes and write_setting(path, key, value)
    except OSError as error:
        raise AnomflowError(f"{path.as_posix()} cannot be written: {error.strerror}; nothing was changed") from error
    batch = load_batch(output.metrics, name, output.environ)
    if batch.value(key) != tuned.proposal.value:
        raise AnomflowError(f"{path.as_posix()} is written, but {key} of {name} is overridden by {batch.origins[key]}; change it there")
    return changed


def print_tuned(output: Output, tuned: Tuned, *, written: bool | None) -> None:
    """Print what is proposed and the evidence; ``written`` tells whether the file changed (None: it was not to)."""
    if output.as_json:
        output.print_json({**_state(tuned), "written": bool(written)})
        return
    for name, reason in tuned.present.failed.items():
        output.print_failure(f"{name}: {reason}")
    proposal = tuned.proposal
    facts = [("replayed", tuned.past.name), ("from", tuned.present.since), ("to", tuned.present.until)]
    print_facts([*facts, ("asked", f"at most {proposal.asked:g} alerts a week"), ("proposed", _tell(proposal))])
    typer.echo("")
    print_table(("", "present", "proposed"), _describe_both(sum_up(tuned.present), sum_up(tuned.proposed)))
    _print_alternatives(tuned)
    _print_loudest(find_loudest(tuned.proposed, LOUDEST))
    _print_end(tuned, written)


def _tell(proposal: Proposal) -> str:
    if not proposal.changes:
        told = f"{proposal.key} stays {proposal.present:g}"
    else:
        told = f"{proposal.key}: {proposal.value:g} (present: {proposal.present:g})"
    return told if proposal.reached else f"{told}; even so there are more alerts than asked for"


def _describe_both(present: Summary, proposed: Summary) -> list[tuple[str, str, str]]:
    return [line for line in describe_both(present, proposed) if line[0] not in _SAME]


def _print_alternatives(tuned: Tuned) -> None:
    proposal = tuned.proposal
    typer.echo("\nalerts a week with")
    tried = [(f"{proposal.key}: {step.value:g}", render_rate(step.a_week)) for step in proposal.steps[-3:]]
    snoozed = [(f"{proposal.lines[0]} and alert_snooze_n: {step.value:g}", render_rate(step.a_week)) for step in proposal.snoozes]
    others = [] if tuned.other is None else [(f"{proposal.lines[0]} and {_tell_selection(tuned.other)}", _tell_other(tuned))]
    print_facts([*tried, *snoozed, *others])


def _tell_selection(backtest: Backtest) -> str:
    return f"model_selection: {backtest.batch.spec.detector.model_selection}"


def _tell_other(tuned: Tuned) -> str:
    assert tuned.other is not None  # noqa: S101 - asked for where there is one only
    other, same = sum_up(tuned.other), sum_up(tuned.proposed)
    found = "" if same.trials.is_empty() else f"; injected anomalies found: {_tell_found(other)}, without it {_tell_found(same)}"
    return f"{render_rate(other.a_week)}{found}"


def _tell_found(summary: Summary) -> str:
    return f"{summary.trials['found'].sum()} of {summary.trials['trials'].sum()}"


def _print_loudest(loudest: Sequence[Loud]) -> None:
    if loudest:
        typer.echo("\nmetrics that alert most with what is proposed")
        rows = [(loud.metric_name, loud.alerts, ", ".join(loud.kinds), loud.reason) for loud in loudest]
        print_table(("metric", "alerts", "kinds", "the most surprising"), rows)


def _print_end(tuned: Tuned, written: bool | None) -> None:
    path = tuned.past.batch.path.as_posix()
    if not tuned.proposal.changes:
        typer.echo("\nnothing is to be changed")
    elif written is None:
        typer.echo(f"\nput in {path}, or run this again with --write:")
        typer.echo("\n".join(tuned.proposal.lines))
    else:
        typer.echo(f"\nwritten in {path}: {'; '.join(tuned.proposal.lines)}")


def _state(tuned: Tuned) -> dict[str, Any]:
    proposal = tuned.proposal
    return {
        "batch": tuned.past.name,
        "since": tuned.present.since,
        "until": tuned.present.until,
        "asked": proposal.asked,
        "reached": proposal.reached,
        "changes": proposal.changes,
        "lines": list(proposal.lines),
        "present": {proposal.key: proposal.present, **_state_evidence(tuned.present)},
        "proposed": {proposal.key: proposal.value, **_state_evidence(tuned.proposed)},
        "tried": [{proposal.key: step.value, "alerts_per_week": asdict(step.a_week)} for step in proposal.steps],
        "snoozes": [{"alert_snooze_n": int(step.value), "alerts_per_week": asdict(step.a_week)} for step in proposal.snoozes],
        "model_selection": None if tuned.other is None else _state_selection(tuned.other),
        "metrics": [asdict(loud) for loud in find_loudest(tuned.proposed, LOUDEST)],
        "failed": dict(tuned.present.failed),
    }


def _state_selection(backtest: Backtest) -> dict[str, Any]:
    return {"model_selection": backtest.batch.spec.detector.model_selection, **_state_evidence(backtest)}


def _state_evidence(backtest: Backtest) -> dict[str, Any]:
    summary = sum_up(backtest)
    return {"alerts_per_week": asdict(summary.a_week), "snoozed": summary.snoozed, "injected": summary.trials.to_dicts()}
