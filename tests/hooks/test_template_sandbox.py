"""What a template of a batch cannot do: each attempt is an error with file and line before anything runs."""

from __future__ import annotations

import pytest

from anomflow.batches import load_batch
from anomflow.errors import SettingsError

OUTSIDE = "the metrics folder's neighbour"


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        ("{{ ''.__class__ }}", "access to attribute '__class__'"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "access to attribute '__class__'"),
        ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "access to attribute '__init__'"),
        ("{{ (tables | attr('__class__')) }}", "access to attribute '__class__'"),
        ("{{ '{0.__class__}'.format(1) }}", "access to attribute '__class__'"),
        ("{{ tables.append('x') }}", "access to attribute 'append'"),
        ("{% set _ = vars_map.update(a=1) %}", "'vars_map' is undefined"),
        ("{{ options.update(a=2) }}", "access to attribute 'update'"),
        ("{% for i in range(10000000) %}{% endfor %}", "Range too big"),
        ("{% include '../outside.sql' %}", "../outside.sql: there is no such file under"),
        ("{% include './x/../../outside.sql' %}", "there is no such file under"),
        ("{% include '/etc/hostname' %}", "/etc/hostname: there is no such file under"),
        ("{% include 'x/link.sql' %}", "x/link.sql: there is no such file under"),
        ("{% import 'os' as os %}", "os: there is no such file under"),
        ("{{ open('x/x.yaml') }}", "'open' is undefined"),
        ("{{ environ }}", "'environ' is undefined"),
        ("{{ self.__dict__ }}", "__dict__"),
    ],
)
def test_a_template_cannot(tmp_path, attempt, words):
    folder = tmp_path / "metrics"
    (folder / "x").mkdir(parents=True)
    (tmp_path / "outside.sql").write_text(OUTSIDE)
    (folder / "x" / "link.sql").symlink_to(tmp_path / "outside.sql")
    (folder / "x" / "x.yaml").write_text("metric_batch: x\nvars:\n  tables: [a]\n  options: {a: 1}\n")
    (folder / "x" / "x.sql").write_text(f"select 1\n{attempt}\n")
    with pytest.raises(SettingsError) as caught:
        load_batch(folder, "x", {})
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{folder}/x/x.sql:2: ingest_sql: ")
    assert words in str(problem)
    assert OUTSIDE not in str(problem)
