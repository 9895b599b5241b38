"""One-line sabotages of the laws of DESIGN 3, each with the test that must fail because of it; run by ``make mutants``.

Each is applied to a copy of the checkout of its own, where only its test runs. The list cannot rot: ``tests/test_mutants.py``
fails where a sabotage no longer fits the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARALLEL = 2
SECONDS = 300
TESTS_FAILED = 1  # pytest's exit code; another one (nothing collected, no import) proves nothing


@dataclass(frozen=True)
class Mutant:
    """A sabotage: the law that it breaks, what it does, the line's text before and after, the test that notices."""

    law: int
    name: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        3,
        "of two databases the rows' one commits first",
        "blocks/pairing.py",
        "with ExitStack() as of_rows, ExitStack() as of_ledger:",
        "with ExitStack() as of_ledger, ExitStack() as of_rows:",
        "tests/laws/test_ledger_apart.py::test_a_run_that_dies_at_a_commit_of_either_database_loses_and_repeats_nothing",
    ),
    Mutant(
        2,
        "an incident is resolved though an alert of it is open again",
        "tasks/delivery.py",
        "if mark_waiting(session, table_key, delivery):",
        "if delivery.attempts < 0:",
        "tests/laws/test_resolution.py::test_an_alert_that_is_open_again_before_its_end_was_told_keeps_the_incident",
    ),
    Mutant(
        3,
        "the end of a long incident is given up at the first failure",
        "anomflow/ledger/resolutions.py",
        '"next_attempt_at": literal(now), "created": literal(now)',
        '"next_attempt_at": literal(now)',
        "tests/laws/test_resolution.py::test_a_pager_that_is_down_hears_of_the_end_later_and_once_however_long_the_incident_was",
    ),
    Mutant(
        2,
        "an outage stands at its deadline, which moves with what is learned",
        "anomflow/decisions/freshness.py",
        'last = row["last_point"].astimezone(UTC)',
        'last = row["last_point"].astimezone(UTC) + timedelta(seconds=row["deadline"])',
        "tests/laws/test_freshness.py::test_metrics_that_fall_silent_are_told_once_in_one_message",
    ),
    Mutant(
        3,
        "an outage that ended keeps its message waiting",
        "tasks/freshness.py",
        "FRESHNESS, returned, candidates",
        "FRESHNESS, returned.clear(), candidates",
        "tests/laws/test_freshness.py::test_data_that_returns_resolves_the_alert",
    ),
    Mutant(
        3,
        "an outage soon after one that ended is never told",
        "anomflow/ledger/states.py",
        "return self in {AlertState.OPEN, AlertState.BY_HAND}",
        "return self in {AlertState.OPEN, AlertState.BY_HAND, AlertState.RECOVERED}",
        "tests/laws/test_freshness.py::test_an_outage_soon_after_one_that_ended_is_told_in_the_end",
    ),
    Mutant(
        1,
        "metrics of a drop of their batch are told as overdue too",
        "tasks/completeness.py",
        "judge_freshness(library, lasting)",
        "judge_freshness(library)",
        "tests/laws/test_volume.py::test_a_drop_is_told_once_and_its_metrics_are_not_told_as_overdue",
    ),
    Mutant(
        1,
        "an outage that freshness told is told again as missing rows",
        "anomflow/decisions/missing.py",
        "outages.filter(is_overdue | is_dropped)",
        "outages.filter(is_dropped)",
        "tests/laws/test_missing_rows.py::test_an_outage_that_freshness_told_is_not_told_again_when_data_returns",
    ),
    Mutant(
        2,
        "a gap that was filled stays open",
        "tasks/missing.py",
        "MISSING, filled, candidates",
        "MISSING, filled.clear(), candidates",
        "tests/laws/test_missing_rows.py::test_rows_that_are_filled_in_resolve_the_alert",
    ),
    Mutant(
        2,
        "a run over the past opens a drop that ended again",
        "tasks/volume.py",
        'told.filter(pl.col("status") == RESOLVED)',
        'told.clear().filter(pl.col("status") == RESOLVED)',
        "tests/laws/test_volume.py::test_metrics_that_are_back_resolve_it_and_have_no_gaps_to_tell",
    ),
    Mutant(
        2,
        "a change that values disprove stays open",
        "tasks/change.py",
        "library.as_of, calm, candidates,",
        "library.as_of, calm.clear(), candidates,",
        "tests/laws/test_change.py::test_values_that_are_corrected_withdraw_the_change",
    ),
    Mutant(
        9,
        "the age of an outage counts from its last row",
        "anomflow/decisions/freshness.py",
        'max_age=timedelta(seconds=row["wait"]) + find_max_age(',
        "max_age=find_max_age(",
        "tests/ledger/test_freshness_decision.py::test_the_age_of_an_outage_counts_from_its_deadline",
    ),
    Mutant(
        1,
        "a score counts whatever value it judged",
        "anomflow/judging.py",
        'return ~(pl.col("judged").fill_null(value=False) & same)',
        'return ~pl.col("judged").fill_null(value=False)',
        "tests/laws/test_idempotence.py::test_correction_by_other_hands_heals",
    ),
    Mutant(
        1,
        "a late row is replayed from the state that is past it",
        "anomflow/judging.py",
        "if metric not in checkpoints or first <= checkpoints[metric])",
        "if metric not in checkpoints)",
        "tests/laws/test_judged_once.py::test_late_row_is_judged_and_its_neighbours_keep_their_scores",
    ),
    Mutant(
        1,
        "rows that are excluded or not finite get no score row",
        "tasks/judgement.py",
        "nulls = null_scores(plan.null_rows)",
        "nulls = null_scores(plan.null_rows.clear())",
        "tests/laws/test_judged_once.py::test_rows_that_cannot_be_scored_are_counted_with_their_reason",
    ),
    Mutant(
        1,
        "a first scoring judges the oldest rows",
        "anomflow/judging.py",
        'rank("ordinal", descending=True)',
        'rank("ordinal", descending=False)',
        "tests/laws/test_judged_once.py::test_first_scoring_judges_the_newest_rows_only",
    ),
    Mutant(
        1,
        "an alert snoozes what lies outside of its window",
        "anomflow/decisions/snooze.py",
        "other.metric_timestamp >= candidate.snooze_from",
        "other.metric_timestamp <= candidate.snooze_from",
        "tests/ledger/test_snooze_rule.py",
    ),
    Mutant(
        2,
        "ingest keeps the score of a value that it changes",
        "tasks/warehouse.py",
        "score_keys(buckets(void), spec.name)",
        "score_keys(buckets(void.clear()), spec.name)",
        "tests/laws/test_idempotence.py::test_corrected_value_is_judged_again_and_its_alert_resolved",
    ),
    Mutant(
        2,
        "a disproved alert stays open",
        "anomflow/ledger/plan.py",
        "disproved = [alert for key, alert in known.judged.items() if key not in cases]",
        "disproved = [alert for key, alert in known.judged.items() if key in cases]",
        "tests/laws/test_idempotence.py::test_correction_before_delivery_cancels_the_message",
    ),
    Mutant(
        2,
        "a message is sent though all its alerts were disproved",
        "tasks/delivery.py",
        "if mark_cancelled(session, outbox.table_key, delivery, now):",
        "if mark_cancelled(session, outbox.table_key, delivery, now) and not delivery:",
        "tests/laws/test_delivery.py::test_message_that_waits_is_cancelled_when_its_alerts_are_disproved",
    ),
    Mutant(
        2,
        "duplicates of a key are all written",
        "anomflow/conform.py",
        '.unique(subset=OBSERVATIONS.key, keep="last", maintain_order=True)',
        ".unique(maintain_order=True)",
        "tests/test_conform.py",
    ),
    Mutant(
        3,
        "marked sent before it is sent",
        "tasks/delivery.py",
        "note = _send(outbox, delivery, notifier)",
        "note = _mark_sent(outbox, delivery, None, resolves=False) and _send(outbox, delivery, notifier)",
        "tests/laws/test_delivery.py::test_server_that_is_down_for_an_hour_gets_the_mail_once_and_the_file_is_not_written_again",
    ),
    Mutant(
        3,
        "a claim takes what another run holds",
        "anomflow/ledger/deliveries.py",
        'Guard.EXPIRED: deliveries.compare("claimed_until", "<", claim.now)',
        "Guard.EXPIRED: session.literal(value=True)",
        "tests/laws/test_delivery.py::test_frozen_run_that_wakes_after_its_lease_repeats_the_message_under_the_same_id",
    ),
    Mutant(
        3,
        "a run that lost its lease sends nevertheless",
        "tasks/delivery.py",
        "if not renew_claim(session, outbox.table_key, delivery, now + find_lease(notifier)):",
        "if not renew_claim(session, outbox.table_key, delivery, now + find_lease(notifier)) and not delivery:",
        "tests/laws/test_delivery.py::test_frozen_run_that_wakes_after_its_lease_repeats_the_message_under_the_same_id",
    ),
    Mutant(
        3,
        "giving up ends the run well",
        "flows/alert.py",
        "worked=not given_up",
        "worked=True",
        "tests/laws/test_delivery.py::test_refused_for_good_fails_the_run_and_stays_in_the_ledger",
    ),
    Mutant(
        1,
        "a judged point gets no score row",
        "tasks/warehouse.py",
        "session.upsert(OBSERVATIONS, OBSERVATIONS.name(target.table_key), rows)",
        "session.upsert(OBSERVATIONS, OBSERVATIONS.name(target.table_key), rows.filter(pl.col('metric_value').is_null()))",
        "tests/laws/test_idempotence.py::test_corrected_value_is_judged_again_and_its_alert_resolved",
    ),
    Mutant(
        4,
        "one metric that cannot be scored ends the run",
        "anomflow/scoring.py",
        "except Exception as error:",
        "except KeyError as error:",
        "tests/detection/test_scoring.py::test_one_bad_metric_is_named_and_stops_no_other",
    ),
    Mutant(
        4,
        "one metric that cannot be fitted ends the run",
        "anomflow/fitting.py",
        "except Exception as error:",
        "except KeyError as error:",
        "tests/detection/test_fitting.py::test_one_bad_metric_stops_no_other",
    ),
    Mutant(
        4,
        "a neighbour's wrong file stops a batch",
        "anomflow/batches/loading.py",
        "results = [_build(draft, scan) for draft in drafts]",
        "results = [_build(draft, scan) for draft in (*drafts, *scan.drafts)]",
        "tests/laws/test_isolation.py::test_half_written_file_beside_a_good_batch_leaves_it_alone",
    ),
    Mutant(
        5,
        "a bucket is judged while it is open",
        "anomflow/series.py",
        "rows.filter(bucket_ends(time, features, timezone)",
        "rows.filter(bucket_starts(time, features, timezone)",
        "tests/laws/test_features.py::test_open_bucket_is_not_scored",
    ),
    Mutant(
        5,
        "rows after as_of are seen",
        "anomflow/ingestion.py",
        "kept = observations.filter(time >= oldest, keep_future | (time <= as_of))",
        "kept = observations.filter(time >= oldest)",
        "tests/laws/test_features.py::test_future_rows_are_invisible",
    ),
    Mutant(
        5,
        "scores are made with the settings of now, not those of the model",
        "tasks/judgement.py",
        "seen = build_seen(chosen, build_sight(self.spec, self.pinned.features), self.library.as_of)",
        "seen = build_seen(chosen, build_sight(self.spec), self.library.as_of)",
        "tests/laws/test_features.py::test_new_settings_wait_for_a_model_that_was_made_with_them",
    ),
    Mutant(
        5,
        "a model that ranks rows among each other sees later ones",
        "anomflow/detectors/pyod_models/estimators.py",
        "    if not together:",
        "    if not together and first < 0:",
        "tests/detection/test_pyod_laws.py::test_another_future_leaves_past_scores_bit_identical",
    ),
    Mutant(
        5,
        "a preprocess function may look ahead",
        "anomflow/preprocessing.py",
        "if not np.allclose(part, whole[:kept], ",
        "if not np.allclose(part, part, ",
        "tests/detection/test_preprocessing.py::test_a_function_that_looks_ahead_is_found_out",
    ),
    Mutant(
        6,
        "an unknown key is a silent default",
        "anomflow/batches/validation.py",
        'yield layer.problem((key,), f"{key} is not a setting.{hint}")',
        'yield layer.problem((key,), f"{key} is not a setting.{hint}", warning=True)',
        "tests/laws/test_settings_law.py",
    ),
    Mutant(
        6,
        "two files share one batch name",
        "anomflow/batches/loading.py",
        "if other is not draft and other.document.readable]",
        "if other is draft and other.document.readable is None]",
        "tests/settings/test_loading.py::test_two_files_with_one_name_are_told_about_each_other",
    ),
    Mutant(
        7,
        "a log line for each metric that fails",
        "flows/outcomes.py",
        'log_line(f"{run.batch.spec.name} {outcome.text}")',
        "[log_line(line) for line in (outcome.text, *outcome.failures)]",
        "tests/laws/test_run_record.py",
    ),
    Mutant(
        7,
        "a failed metric is not told of",
        "flows/outcomes.py",
        "if reasons else []",
        "if reasons and not self.counts else []",
        "tests/laws/test_run_record.py",
    ),
    Mutant(
        8,
        "a model is parsed before its checksum is verified",
        "anomflow/model_bytes.py",
        "if object_name(content) != sha256:",
        'if object_name(content) == "":',
        "tests/detection/test_models.py::test_bytes_that_were_not_published_are_refused",
    ),
    Mutant(
        8,
        "text from data reaches a mail as HTML",
        "anomflow/messages.py",
        "autoescape=True",
        "autoescape=False",
        "tests/laws/test_isolation.py::test_hostile_and_odd_metrics_do_not_disturb_their_neighbours",
    ),
    Mutant(
        3,
        "a chart that Slack does not take sends the message again",
        "blocks/notifiers/slack_api.py",
        "failures[image.name] = str(error)",
        "raise",
        "tests/messages/test_slack_notifier.py::test_a_chart_that_fails_costs_the_message_nothing",
    ),
    Mutant(
        3,
        "a slow channel is held no longer than a quick one",
        "tasks/outbox.py",
        "return max(LEASE, 2 * timedelta(seconds=notifier.send_seconds))",
        "return LEASE",
        "tests/laws/test_slack_delivery.py::test_a_delivery_is_held_for_longer_than_its_channel_may_take",
    ),
    Mutant(
        3,
        "a batch's template that fails costs the alert",
        "anomflow/message_templates.py",
        "problem = clean_text(str(error), _NOTE_LIMIT)",
        "raise",
        "tests/laws/test_slack_delivery.py::test_a_template_file_that_is_gone_when_an_alert_comes_costs_no_alert",
    ),
    Mutant(
        8,
        "a token that Slack repeats stands in an error",
        "blocks/notifiers/http.py",
        "for form in self._forms:",
        "for form in self._forms[:0]:",
        "tests/messages/test_slack_notifier.py::test_a_secret_that_the_server_repeats_is_shown_nowhere",
    ),
    Mutant(
        8,
        "text of the data is markup in Slack",
        "anomflow/slack_text.py",
        "return text.translate(_ESCAPES)",
        "return text",
        "tests/messages/test_slack_text.py::test_no_text_of_the_data_becomes_markup",
    ),
    Mutant(
        3,
        "a chart that is too large for a channel loses the message",
        "blocks/notifiers/http_channel.py",
        "_REFUSED_FORM: Final = {400, 413, 422}",
        "_REFUSED_FORM: Final = {400}",
        "tests/conformance/test_http_notifiers.py::test_a_chart_that_is_too_large_costs_the_message_nothing",
    ),
    Mutant(
        3,
        "a pager does not know a repeat",
        "blocks/notifiers/pagerduty.py",
        '"dedup_key": dedup_key',
        '"dedup_key": str(id(more))',
        "tests/laws/test_channel_delivery.py::test_each_channel_is_tried_again_by_itself_and_when_it_asks",
    ),
    Mutant(
        3,
        "a page that a proxy shows counts as delivered",
        "blocks/notifiers/pagerduty.py",
        '.get("status") == "success"',
        '.get("status") != "failure"',
        "tests/messages/test_http_channels.py::test_an_answer_of_something_that_stands_between_is_no_acceptance",
    ),
    Mutant(
        8,
        "a key is sent unencrypted",
        "blocks/notifiers/secret_fields.py",
        'if parts.scheme == "http" and not _is_near(parts.hostname):',
        "if parts.scheme == 'none':",
        "tests/conformance/test_http_notifiers.py::test_an_address_is_encrypted_or_near",
    ),
    Mutant(
        8,
        "a metric's name mentions everybody in Mattermost",
        "anomflow/markdown_text.py",
        '"@": f"@{_GAP}"',
        '"@": "@"',
        "tests/messages/test_http_channels.py::test_mattermost_mentions_nobody",
    ),
    Mutant(
        8,
        "text of the data leaves its place in a webhook's template",
        "anomflow/webhook_body.py",
        "autoescape=False, finalize=_write_json",
        "autoescape=False",
        "tests/messages/test_http_channels.py::test_a_template_places_values_as_json",
    ),
    Mutant(
        8,
        "a password stands in a repr",
        "blocks/notifiers/smtp.py",
        "password: str = field(repr=False)",
        "password: str",
        "tests/laws/test_delivery.py::test_a_server_never_shows_its_password",
    ),
    Mutant(
        8,
        "a quote in a name ends the SQL text",
        "blocks/warehouses/quoting.py",
        """return "'" + value.replace("'", "''") + "'\"""",
        """return "'" + value + "'\"""",
        "tests/laws/test_isolation.py::test_hostile_and_odd_metrics_do_not_disturb_their_neighbours",
    ),
    Mutant(
        8,
        "a model is unpickled whoever signed it",
        "anomflow/signing.py",
        "if not hmac.compare_digest(view[-_DIGEST:], _digest(body, key)):",
        "if len(view) == 0:",
        "tests/laws/test_signed_models.py::test_a_forged_model_is_passed_over_and_training_makes_a_new_one",
    ),
    Mutant(
        9,
        "no alert is too old to be told",
        "anomflow/decisions/snooze.py",
        "return as_of - candidate.metric_timestamp > candidate.max_age",
        "return as_of is None",
        "tests/laws/test_isolation.py::test_first_run_over_a_long_history_sends_nothing_old",
    ),
    Mutant(
        9,
        "the age limit of a batch is ignored",
        "anomflow/decisions/candidate.py",
        "return given or max(DAY,",
        "return max(DAY,",
        "tests/laws/test_isolation.py::test_age_limit_counts_from_the_point_to_its_detection",
    ),
    Mutant(
        4,
        "a function outlives the run that was killed",
        "anomflow/hook_process.py",
        "os.killpg(os.getpgrp(), signal.SIGKILL)",
        "os.getpgrp()",
        "tests/hooks/test_hook_process.py::test_a_function_ends_with_a_run_that_was_killed_and_so_does_all_that_it_started",
    ),
    Mutant(
        8,
        "an error of a function shows a key of the environment",
        "anomflow/hook_process.py",
        "mask_secrets(_describe(error, hook), os.environ)",
        "mask_secrets(_describe(error, hook), {})",
        "tests/hooks/test_hook_process.py::test_no_secret_of_the_environment_is_in_an_error",
    ),
    Mutant(
        8,
        "an include leads out of the metrics folder",
        "anomflow/sql/templates.py",
        "return path if inside and",
        "return path if",
        "tests/hooks/test_template_sandbox.py::test_a_template_cannot",
    ),
)


def main() -> int:
    """Sabotage one law after the other, say what became of each, and fail where one was not caught."""
    start = time.monotonic()
    with ThreadPoolExecutor(PARALLEL) as pool:
        verdicts = list(pool.map(_judge, MUTANTS))
        is_healthy = _run_tests(None, sorted({mutant.test for mutant in MUTANTS})) == 0
    if not is_healthy:
        print("BROKEN: the tests fail without any sabotage, so nothing above counts")
    caught = verdicts.count("caught")
    print(f"{caught} of {len(MUTANTS)} caught in {time.monotonic() - start:.0f} s")
    return int(not is_healthy or caught < len(MUTANTS))


def _judge(mutant: Mutant) -> str:
    verdict = _find_verdict(mutant)
    print(f"{verdict:9} law {mutant.law}: {mutant.name} ({mutant.file})", flush=True)
    return verdict


def _find_verdict(mutant: Mutant) -> str:
    if (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) != 1:
        return "STALE"
    code = _run_tests(mutant, [mutant.test])
    return "HUNG" if code is None else {TESTS_FAILED: "caught", 0: "SURVIVED"}.get(code, f"ERROR {code}")


def _run_tests(mutant: Mutant | None, tests: list[str]) -> int | None:
    """Return pytest's exit code over tests in a copy of the checkout, sabotaged or as it is; None where it did not end."""
    with tempfile.TemporaryDirectory(prefix="anomflow-mutant-") as folder:
        copy = Path(folder)
        _copy_checkout(copy)
        if mutant is not None:
            path = copy / mutant.file
            path.write_text(path.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", *tests]
        environment = {**os.environ, "PYTHONPATH": folder}
        try:
            done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return None
    return done.returncode


def _copy_checkout(target: Path) -> None:
    """Copy what git knows or would, with times, so that compiled modules and kernels (copied too) stay valid."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [name for name in names if name and (ROOT / name).is_file()]
    for name in files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    for folder in {Path(name).parent / "__pycache__" for name in files}:
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, target / folder)


if __name__ == "__main__":
    sys.exit(main())
