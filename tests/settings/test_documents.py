from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from anomflow.batches.documents import MAX_VALUES, parse_document, parse_value, read_document

if TYPE_CHECKING:
    from pathlib import Path

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n" for before, after in zip("abcdef", "bcdefg", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"k{number}: &k{number} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for number, before in enumerate(["a", *(f"k{number}" for number in range(8))])
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: true", True),
        ("a: no", "no"),
        ("a: on", "on"),
        ("a: 10:30", "10:30"),
        ("a: 2024-01-01", "2024-01-01"),
        ("a: 1e3", 1000.0),
        ("a: -.5", -0.5),
        ("a: 0o10", 8),
        ("a: 010", "010"),
        ("a: 10min", "10min"),
        ("a: 10%", "10%"),
        ("a: '5'", "5"),
        ("a:", None),
        ("a: ~", None),
        ("a: [1, x]", [1, "x"]),
        ("b: &b {x: 1, y: 2}\na: {<<: *b, y: 3}", {"x": 1, "y": 3}),
        ("b: &b {x: 1}\nc: &c {x: 2, z: 4}\na: {<<: [*b, *c]}", {"x": 1, "z": 4}),
        ("b: &b [1]\na: *b", [1]),
        ("\ufeffa: 1", 1),
    ],
)
def test_values_are_read_as_yaml_1_2_reads_them(text: str, expected: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")

    document = read_document(path)

    assert document.problems == ()
    assert document.layer.values["a"] == expected
    assert type(document.layer.values["a"]) is type(expected)


def test_lines_are_those_of_keys_elements_and_texts() -> None:
    text = "# head\na: 1\nb:\n  c:\n  - x\n  - y\nsql: |\n  select 1\n  from t\nfolded: >\n  select\n  2\n"

    origins = parse_document(text, "x.yaml").layer.origins

    lines = {path: origin.line for path, origin in origins.items()}
    assert lines == {("a",): 2, ("b",): 3, ("b", "c"): 4, ("b", "c", 0): 5, ("b", "c", 1): 6, ("sql",): 7, ("folded",): 10}
    assert (origins[("sql",)].text_line, origins[("folded",)].text_line) == (8, None)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2", 2, "not valid YAML"),
        ("a: 1\n\tb: 2", 2, "not valid YAML"),
        ("a: 1\nb: {x: 1\nc: 2", 3, "not valid YAML"),
        ("a: *nowhere", 1, "not valid YAML"),
        ("a: 1\n---\nb: 2", 2, "single document"),
        ("a: \x01", 1, "not valid YAML"),
        ("- a\n- b", 1, "not a mapping"),
        ("just text", 1, "not a mapping"),
        ("a: 1\nb: !!python/object:os.system x", 2, "tag"),
        ("a: 1\nb: !secret x", 2, "tag"),
        ("a: 1\n[x]: 2", 2, "not plain text"),
        ("a: &a [*a]", 1, "nested more than"),
        ("a: {<<: [1]}", 1, "not a mapping"),
        ("a: 1\nb: " + "[" * 1_000_000, 2, "nested more than"),
        ("a: 1\nb: " + "{x: " * 100_000 + "}" * 100_000, 2, "nested more than"),
        (BOMB, 5, f"more than {MAX_VALUES} values"),
        (MERGE_BOMB, 6, f"more than {MAX_VALUES} values"),
        ("a: " + "9" * 5000, 1, "cannot be read"),
    ],
)
def test_what_is_not_usable_yaml_is_told_with_its_line(text: str, line: int, words: str) -> None:
    document = parse_document(text, "x.yaml")

    assert not document.readable
    (problem,) = document.problems
    assert (problem.where, problem.line) == ("x.yaml", line)
    assert words in problem.message


def test_a_key_that_is_set_twice_is_told_with_both_lines() -> None:
    document = parse_document("a: 1\nb:\n  x: 1\n  x: 2\na: 3\n", "x.yaml")

    assert [str(problem) for problem in document.problems] == [
        "x.yaml:4: x is set twice, first in line 3",
        "x.yaml:5: a is set twice, first in line 1",
    ]


@pytest.mark.parametrize(("content", "line", "words"), [(b"a: 1\nb: \xff\n", 2, "UTF-8"), (None, None, "cannot be read")])
def test_a_file_that_is_no_text_is_told(content: bytes | None, line: int | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.mkdir() if content is None else path.write_bytes(content)

    (problem,) = read_document(path).problems

    assert problem.line == line
    assert words in problem.message


@pytest.mark.parametrize(
    ("text", "expected"), [("5", 5), ("[1, 2]", [1, 2]), ('{"a": 1}', {"a": 1}), ("a: {b: 1}\nc: 2", {"a": {"b": 1}, "c": 2}), ("[1", None)]
)
def test_a_value_alone_is_yaml_or_json(text: str, expected: Any) -> None:
    result: Any
    try:
        result = parse_value(text)
    except ValueError:
        result = None

    assert result == expected
