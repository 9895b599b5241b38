from __future__ import annotations

import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import blocks
from blocks import stores, warehouses
from blocks.discovery import find_kinds

if TYPE_CHECKING:
    from prefect.blocks.core import Block

KINDS = {**find_kinds(warehouses), **find_kinds(stores)}
ROOT = Path(__file__).parents[1]
DRIVERS = (
    "duckdb",
    "adbc_driver_manager",
    "adbc_driver_sqlite",
    "adbc_driver_duckdb",
    "adbc_driver_postgresql",
    "google.cloud",
    "snowflake",
    "prefect_snowflake",
    "pyarrow",
    "pandas",
    "sqlglot",
)


@pytest.fixture(params=KINDS, ids=KINDS)
def block(request: pytest.FixtureRequest) -> type[Block]:
    return KINDS[request.param]


def test_the_kinds_are_found_by_their_modules() -> None:
    assert list(KINDS) == ["bigquery", "clickhouse", "duckdb", "postgres", "snowflake", "sqlite", "local"]


# The first four repeat what Prefect asks of the blocks that it publishes.
def test_a_block_has_a_description_that_ends_in_a_period(block: type[Block]) -> None:
    assert block.get_description()
    assert block.get_description().endswith(".")  # type: ignore[union-attr]


def test_a_block_has_a_code_example_that_imports_it_from_its_module(block: type[Block]) -> None:
    example = block.get_code_example()
    assert example is not None
    assert f"from {block.__module__} import {block.__name__}" in example
    assert f'{block.__name__}.load("BLOCK_NAME")' in example


def test_every_field_has_a_description_that_ends_in_a_period(block: type[Block]) -> None:
    for name, field in block.model_fields.items():
        assert (field.description or "").endswith("."), name


def test_a_block_has_a_name_and_a_slug_of_ours_and_a_valid_schema(block: type[Block]) -> None:
    assert block.get_block_type_name().startswith("Anomflow ")
    assert re.fullmatch(r"anomflow-[a-z-]+", block.get_block_type_slug())
    assert inspect.getdoc(block)
    assert block.model_json_schema()["properties"]


def test_importing_the_blocks_imports_no_driver() -> None:
    modules = [found.name for found in pkgutil.walk_packages(blocks.__path__, "blocks.")]
    script = f"import sys, importlib; [importlib.import_module(m) for m in {modules}]; print([m for m in {DRIVERS} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
