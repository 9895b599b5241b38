"""What only MotherDuck does: on its stand-in, by its address and token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from anomflow.errors import WarehouseBusyError, WarehouseError
from tests.conformance.rows import DAY, build_rows, fill, read_values
from tests.services.engines.motherduck import TOKEN, build_warehouse, run_raw

if TYPE_CHECKING:
    from pathlib import Path

    from blocks.warehouses.motherduck import MotherDuckWarehouse

pytestmark = pytest.mark.services


@pytest.fixture
def warehouse(tmp_path: Path) -> MotherDuckWarehouse:
    return build_warehouse(tmp_path)


def test_a_wrong_token_is_refused_and_not_told(warehouse: MotherDuckWarehouse) -> None:
    wrong = warehouse.model_copy(update={"token": SecretStr(f"{TOKEN}x")})
    with pytest.raises(WarehouseError, match="refused the token; make a new one") as caught, wrong.reading():
        pass
    assert type(caught.value) is WarehouseError
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_writer_that_waits_too_long_is_busy_and_what_the_first_wrote_is_kept(tmp_path: Path, warehouse: MotherDuckWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        session.execute("update metrics set metric_value = 2")
        with pytest.raises(WarehouseBusyError, match=r"still writing after 0\.2 s"), build_warehouse(tmp_path, 0.2).writing():
            pass
        assert read_values(warehouse) == [(DAY, "m", 1.0)]
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_conflict_with_what_others_write_undoes_the_session_and_may_be_tried_again(warehouse: MotherDuckWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with pytest.raises(WarehouseBusyError, match="another session wrote at the same time"), warehouse.writing() as session:  # noqa: PT012 - a session is the case
        session.execute("create table mine as select 1 as x")
        run_raw(warehouse, ["update metrics set metric_value = 5"])
        session.execute("update metrics set metric_value = 2")
    assert read_values(warehouse) == [(DAY, "m", 5.0)]
    assert run_raw(warehouse, ["select count(*) from duckdb_tables() where table_name = 'mine'"]) == [(0,)]


def test_sql_of_a_person_does_not_reach_files_of_this_machine(warehouse: MotherDuckWarehouse, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    with warehouse.reading() as session:
        session.confine()
        with pytest.raises(WarehouseError, match="disabled by configuration"):
            session.read(f"select * from read_csv({session.literal(str(tmp_path / 'secret.csv'))})")
    assert run_raw(warehouse, ["select 1"]) == [(1,)]
