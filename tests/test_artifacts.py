from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tasks.artifacts import artifact_key


def test_an_artifact_keeps_the_name_of_its_batch_where_prefect_allows_it() -> None:
    assert artifact_key("charts", "shop-orders") == "charts-shop-orders"


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_batches_of_different_names_never_share_an_artifact(one: str, other: str) -> None:
    keys = [artifact_key("charts", name) for name in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key) for key in keys)
