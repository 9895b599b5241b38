from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anomflow.errors import MissingDependencyError, ModelError, WarehouseError
from anomflow.frames import OBSERVATIONS
from anomflow.kinds import WAREHOUSES
from blocks.loading import load_store, load_warehouse
from blocks.stores.local import LocalModelStore
from blocks.warehouses.duckdb import DuckDBWarehouse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANOMFLOW_HOME", "ANOMFLOW_DUCKDB_PATH", "ANOMFLOW_SQLITE_PATH", "ANOMFLOW_MODELS_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_the_embedded_default_makes_its_file_and_folder_when_it_is_used(kind: str, tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    warehouse = load_warehouse(kind, home)
    assert not home.exists()
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, "metrics")
    assert warehouse.location == f"{kind}:{home / f'anomflow.{kind}'}"
    assert (home / f"anomflow.{kind}").is_file()


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_path_of_the_environment_is_meant_and_never_replaced_by_another(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ANOMFLOW_{kind.upper()}_PATH", str(tmp_path / "nowhere" / "x.db"))
    warehouse = load_warehouse(kind, tmp_path / "home")
    with pytest.raises(WarehouseError, match="nowhere does not exist"), warehouse.reading():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_block_without_a_path_lies_in_anomflow_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    assert DuckDBWarehouse().location == f"duckdb:{tmp_path / 'home' / 'anomflow.duckdb'}"
    assert LocalModelStore().location == f"local:{tmp_path / 'home' / 'models'}"


def test_models_lie_in_home_or_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_store("local", tmp_path / "home").write("a", b"x")
    assert (tmp_path / "home" / "models" / "a").read_bytes() == b"x"
    monkeypatch.setenv("ANOMFLOW_MODELS_PATH", str(tmp_path / "elsewhere"))
    assert load_store("local", tmp_path / "home").location == f"local:{tmp_path / 'elsewhere'}"


def test_models_lie_in_the_folder_that_a_batch_names(tmp_path: Path) -> None:
    load_store(f"local://{tmp_path / 'shared'}", tmp_path / "home").write("a", b"x")
    assert (tmp_path / "shared" / "a").read_bytes() == b"x"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("ref", ["duckbd", "", "md:prod", "postgresql"])
def test_an_unknown_warehouse_is_an_error_that_lists_the_kinds(ref: str, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=f"is no warehouse; known kinds: {', '.join(sorted(WAREHOUSES))}"):
        load_warehouse(ref, tmp_path)


@pytest.mark.parametrize("ref", ["s3://shop/models", "gs://shop/team/models", "az://shop"])
def test_a_bucket_is_reached_by_its_address(ref: str, tmp_path: Path) -> None:
    assert load_store(f" {ref}/ ", tmp_path).location == ref


@pytest.mark.parametrize(("ref", "extra"), [("s3://shop", "aws"), ("gs://shop", "gcp"), ("az://shop", "azure")])
def test_a_bucket_whose_library_is_not_installed_names_the_extra(ref: str, extra: str, tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match=rf"model store in {ref} needs .*pip install 'anomflow\[{extra}\]'"):
        load_store(ref, tmp_path).read("a")


def test_an_unknown_store_is_an_error_that_lists_the_kinds(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'s3/prod' is no model store; known kinds: local, local-file-system, s3-bucket"):
        load_store("s3/prod", tmp_path)


def test_an_address_of_motherduck_is_no_file_and_its_token_not_told() -> None:
    with pytest.raises(ValueError, match="name the warehouse motherduck instead") as caught:
        DuckDBWarehouse(path="md:prod?motherduck_token=s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("path", [":memory:", "file:x", "sqlite:///x", "a\0b", ""])
def test_a_path_that_is_no_file_is_refused_when_it_is_set(path: str) -> None:
    with pytest.raises(ValueError, match=r"is not the path of a file|at least 1 character"):
        DuckDBWarehouse(path=path)


def test_a_missing_package_names_its_extra(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'anomflow\[azure\]'"):
        load_store("azure-blob-storage-container/prod", tmp_path)
