"""trace.json: a record comes back as it was, the same bytes for the same record, and one readable line for what is no trace."""

import json

import pytest

from tinyae.errors import DataError, RunError, one_line
from tinyae.microscope import file
from tinyae.microscope.target import load_target


@pytest.fixture(scope="module")
def record():
    return load_target("vae").record(draws=3)


def test_a_record_comes_back_as_it_was(record, tmp_path):
    path = tmp_path / "trace.json"
    file.save(record, path)
    assert file.load(path) == record
    again = tmp_path / "again.json"
    file.save(file.load(path), again)
    assert again.read_bytes() == path.read_bytes()


def test_keys_are_sorted_and_the_version_stands_in_it(record, tmp_path):
    file.save(dict(reversed(record.items())), tmp_path / "a.json")
    file.save(record, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text())["tinyae"]


def test_numbers_that_are_not_finite_become_null(record, tmp_path):
    file.save(record | {"loss": {"name": "loss", "value": float("nan")}, "extra": (float("inf"), 1)}, tmp_path / "a.json")
    found = file.load(tmp_path / "a.json")
    assert found["loss"]["value"] is None
    assert found["extra"] == [None, 1]


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_what_was_there(record, tmp_path):
    with pytest.raises(RunError, match="it cannot be written"):
        file.save(record, tmp_path / "nowhere" / "a.json")
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(TypeError):
        file.save(record | {"title": object()}, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


BAD = {
    "missing": (None, "cannot be read as a trace"),
    "empty": ("", "it is no JSON"),
    "no JSON": ("<html>", "it is no JSON"),
    "no dict": ("[1, 2]", "it is no trace. (expected: 'tinyae trace 1'; got: no format)"),
    "another file": ('{"a": 1}', "it is no trace"),
    "newer": (
        '{"format": "tinyae trace 9", "tinyae": "3.1"}',
        "of another version. (expected: 'tinyae trace 1'; got: 'tinyae trace 9', written by tinyae 3.1)"
    ),
    "nothing in it": ('{"format": "tinyae trace 1"}', "damaged. (got: the trace has no title)"),
    "deep": ("[" * 100_000, "it is no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_trace_is_one_readable_line(kind, tmp_path):
    content, says = BAD[kind]
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError) as caught:
        file.load(tmp_path / "a.json")
    text = one_line(caught.value)
    assert says in text
    assert "a.json" in text
    assert "\n" not in text


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_says_so(share, record, tmp_path):
    file.save(record, tmp_path / "a.json")
    content = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"a\.json: it is (cut off|no JSON)"):
        file.load(tmp_path / "a.json")


def test_bytes_that_are_no_text_are_one_line(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="it is no text"):
        file.load(tmp_path / "a.json")


@pytest.mark.parametrize("name", file.OF_NODE)
def test_an_operation_without_one_of_its_parts_is_damaged(name, record, tmp_path):
    nodes = [dict(node) for node in record["nodes"]]
    del nodes[3][name]
    file.save(record | {"nodes": nodes}, tmp_path / "a.json")
    with pytest.raises(DataError, match=f"operation 4 has no {name}"):
        file.load(tmp_path / "a.json")


def test_parts_of_another_type_are_damage(record, tmp_path):
    for change, says in (
        ({"nodes": []}, "there are no operations"),
        ({"nodes": [1]}, "operation 1 is not what it should be"),
        ({"functions": []}, "a function that is not there"),
        ({"nodes": [record["nodes"][0] | {"value": {"shape": 3}}]}, "the value of operation 1 has no shape"),
        ({"terms": 3}, "the trace has no terms"),
    ):
        file.save(record | change, tmp_path / "a.json")
        with pytest.raises(DataError, match=says):
            file.load(tmp_path / "a.json")
