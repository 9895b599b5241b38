"""Law 6, end to end: wrong settings are told all at once before anything runs, and leave no trace."""

from __future__ import annotations

import pytest

from anomflow.errors import AnomflowError, SettingsError

WRONG = "alert_treshold: 0.9\ntrain_max_n: many\nscore_max_n: -1\n"


@pytest.mark.parametrize("job", ["ingest", "train", "score", "change", "alert", "pipeline"])
def test_a_run_with_wrong_settings_touches_nothing(world, mailbox, at, job):
    world.configure(WRONG)
    with pytest.raises(SettingsError) as caught:
        world.run(job, as_of=at(1))
    text = str(caught.value)
    assert "shop.yaml:4: alert_treshold is not a setting. Did you mean alert_threshold?" in text
    assert "shop.yaml:5: train_max_n" in text
    assert len(caught.value.problems) == 3
    assert list((world.folder / "home").iterdir()) == []
    assert mailbox.mails == []


def test_a_database_that_does_not_exist_is_named_and_none_is_taken_instead(world, at):
    world.configure("db: duckbd\n")
    with pytest.raises(AnomflowError, match="duckbd") as caught:
        world.run("ingest", as_of=at(1))
    assert "duckdb" in str(caught.value)
    assert list((world.folder / "home").iterdir()) == []
