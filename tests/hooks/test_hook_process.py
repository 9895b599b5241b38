"""What an ingest function gets, what it may return, what its errors say, and that it never outlives its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from anomflow.batches import load_batch
from anomflow.errors import IngestError
from anomflow.hooks import Hook, run_ingest
from anomflow.masking import mask_secrets
from blocks.warehouses.duckdb import DuckDBWarehouse
from cli.scaffold import PYTHON, Draft, render_files, write_scaffold
from tasks.sources import read_source

ROW = "{'metric_timestamp': '2026-01-01T10:00:00Z', 'metric_name': %s, 'metric_value': %s}"


def run(source: str, seconds: float = 60, **arguments: object) -> pl.DataFrame:
    return run_ingest(Hook(source, "odd.py", 1, arguments=arguments), seconds)


def test_arguments_arrive_by_name_and_as_they_were():
    source = f"import json\ndef ingest(*, a, b=2, **rest): return [{ROW % ('json.dumps([a, b, rest])', '1')}]"
    given = {"text": "ü\n'", "list": [1, None, True], "map": {"x": 1.5}}
    assert run(source, a=given, c=-1)["metric_name"].to_list() == [
        '[{"text": "\\u00fc\\n\'", "list": [1, null, true], "map": {"x": 1.5}}, 2, {"c": -1}]'
    ]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def make(a): pass\ningest = make", r"odd\.py:1: ingest\(a\): missing a required argument: 'a'; ingest_fn_args gives nothing"),
        ("ingest = lambda: 1", None),
    ],
)
def test_arguments_that_do_not_fit_are_told_before_the_call(source, words):
    with pytest.raises(IngestError, match=words or r"returned a int; return a polars"):
        run(source)


def test_an_unknown_argument_of_a_function_that_cannot_be_read_is_told():
    with pytest.raises(IngestError, match=r"ingest\(\): got an unexpected keyword argument 'city'; ingest_fn_args gives city"):
        run("def make(): pass\ningest = make", city=1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (f"[{ROW % (repr('a'), '1')}, {ROW % (repr('b'), '2.5')}]", [("a", 1.0), ("b", 2.5)]),
        (f"[{ROW % (repr('a'), 'None')}]", [("a", None)]),
        ("[]", []),
    ],
)
def test_a_list_of_mappings_is_a_table(rows, expected):
    assert run(f"def ingest(): return {rows}").select("metric_name", "metric_value").rows() == expected


def test_what_init_writes_runs(tmp_path):
    write_scaffold(tmp_path, render_files(Draft("shop", source=PYTHON), tmp_path))
    rows = read_source(load_batch(tmp_path, "shop", {}), DuckDBWarehouse(path=str(tmp_path / "a.duckdb"))).observations
    assert rows["metric_name"].to_list() == ["shop_example"]


def test_mappings_of_mixed_types_are_told():
    with pytest.raises(IngestError, match=r"odd\.py:1: ingest returned a list of mappings whose values are not of one type"):
        run(f"def ingest(): return [{ROW % ('1', '1')}, {ROW % ('[2]', '1')}]")


def test_a_function_sees_the_environment_of_its_run(monkeypatch):
    monkeypatch.setenv("SHOP_REGION", "eu-west")
    rows = run("import os\ndef ingest(): return [dict(metric_timestamp=0, metric_name=os.environ['SHOP_REGION'], metric_value=1)]")
    assert rows["metric_name"].to_list() == ["eu-west"]


def test_no_secret_of_the_environment_is_in_an_error(monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", "k/ey+0123")
    monkeypatch.setenv("SHOP_DATABASE", "postgres://me:pass-of-me@db/shop")
    source = """
import os
from urllib.parse import quote
def ingest():
    key = os.environ["SHOP_API_KEY"]
    raise ValueError(f"GET /?key={quote(key, safe='')} with {key!r} at {os.environ['SHOP_DATABASE']}")
"""
    with pytest.raises(IngestError) as caught:
        run(source)
    assert str(caught.value) == (
        "odd.py:6: ingest() raised ValueError: GET /?key=<SHOP_API_KEY> with '<SHOP_API_KEY>' at postgres://me:<password>@db/shop"
    )


def test_an_error_that_quotes_its_data_is_cut():
    with pytest.raises(IngestError) as caught:
        run("def ingest(): raise ValueError('\\ud800' + 'x' * 10_000_000)")
    assert str(caught.value).startswith("odd.py:1: ingest() raised ValueError: \\ud800xxx")
    assert str(caught.value).endswith("xxx... (10000039 characters)")
    assert len(str(caught.value)) < 2100


def test_short_and_innocent_values_stay_readable():
    environ = {"API_KEY": "abc", "EMPTY_TOKEN": "", "LANG": "en_GB.UTF-8", "KEYBOARD": "     "}
    assert mask_secrets("abc en_GB.UTF-8      end", environ) == "abc en_GB.UTF-8      end"


def test_the_current_folder_is_no_secret():
    environ = {"PWD": "/srv/metrics", "OLDPWD": "/srv/before", "DB_PWD": "hunter22"}
    text = "/srv/metrics/a.py after /srv/before"
    assert mask_secrets(f"{text}: hunter22", environ) == f"{text}: <DB_PWD>"


def test_a_hook_shows_no_argument():
    assert "hidden" not in repr(Hook("", "odd.py", 1, arguments={"token": "hidden"}))


def test_the_signal_that_ended_a_function_is_named():
    with pytest.raises(IngestError, match=r"odd\.py:1: the process of ingest\(\) was ended by SIGSEGV and returned nothing"):
        run("import os, signal\ndef ingest(): os.kill(os.getpid(), signal.SIGSEGV)")


def test_a_thread_that_a_function_leaves_running_delays_nothing():
    source = (
        f"import threading, time\ndef ingest():\n threading.Thread(target=time.sleep, args=(3600,)).start()\n return [{ROW % ('1', '1')}]"
    )
    assert run(source).height == 1


LINGER = """
import os, subprocess, sys, time
def ingest(pipe):
    writer = os.open(pipe, os.O_WRONLY)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], pass_fds=[writer])
    os.write(writer, b"started")
    {wait}
"""
RUN = """
import sys
from pathlib import Path
from anomflow.hooks import Hook, run_ingest
run_ingest(Hook(Path(sys.argv[1]).read_text(), "odd.py", 1, arguments={"pipe": sys.argv[2]}), 300)
"""


@pytest.mark.parametrize(
    "wait",
    [
        "time.sleep(300)",
        "import ctypes; ctypes.PyDLL(None).sleep(300)",
        "import signal; signal.pthread_sigmask(0, range(1, 32)); time.sleep(300)",
    ],
    ids=["sleeps", "holds the interpreter", "blocks signals"],
)
def test_a_function_ends_with_a_run_that_was_killed_and_so_does_all_that_it_started(tmp_path: Path, wait):
    pipe, source = tmp_path / "pipe", tmp_path / "odd.py"
    os.mkfifo(pipe)
    source.write_text(LINGER.format(wait=wait))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", RUN, str(source), str(pipe)], env=environment)
    with process, pipe.open("rb", buffering=0) as reader:  # waits for the function to open the other end
        started = reader.read(7)
        process.send_signal(signal.SIGKILL)
        rest = reader.read()  # ends when nobody holds the other end any more
    assert (started, rest) == (b"started", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.py", "pipe"]
