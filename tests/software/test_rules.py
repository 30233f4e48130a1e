"""The settings file: what it means, and the line in every complaint about it."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.software.errors import BadSettings
from fondaco.software.globs import BadGlob, check, compile_globs
from fondaco.software.rules import MAX_SETTINGS_BYTES, Rules, parse

EXAMPLE = b"""
executables = ["bin/*", "*.sh"]
ignore = [".DS_Store", "scratch/"]
catalogs = ["releases/*"]

[[unpack]]
archive = "dist/*.tar.gz"
into = "software/{name}"

[[unpack]]
archive = "*.zip"
into = "{directory}/{name}.d"
"""


def test_the_example_means_what_it_says() -> None:
    rules = parse(EXAMPLE)
    assert rules.is_executable("/bin/x")
    assert rules.is_executable("/a/b/c.sh")
    assert not rules.is_executable("/bin/deep/x")
    assert rules.is_ignored("/a/.DS_Store")
    assert rules.is_ignored("/scratch/a/b")
    assert not rules.is_ignored("/scratch")
    assert rules.is_catalog("/releases/1.0")
    assert not rules.is_catalog("/releases")
    assert not rules.is_catalog("")
    assert rules.unpacks_into("/dist/tool-1.2.tar.gz") == "/software/tool-1.2"
    assert rules.unpacks_into("/a/b/x.ZIP") is None
    assert rules.unpacks_into("/a/b/x.zip") == "/a/b/x.d"
    assert rules.unpacks_into("/x.zip") == "/x.d"
    assert rules.unpacks_into("/dist/notes.txt") is None


def test_no_settings_change_nothing() -> None:
    rules = parse(b"")
    assert rules == Rules()
    assert not rules.is_executable("/bin/x")
    assert rules.unpacks_into("/a.zip") is None


def test_the_digest_names_the_meaning() -> None:
    assert parse(EXAMPLE).digest == parse(b"# a comment\n" + EXAMPLE).digest
    assert parse(EXAMPLE).digest != parse(b"").digest
    assert parse(b'ignore=["a"]').digest != parse(b'executables=["a"]').digest
    assert parse(b"").digest == Rules().digest


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (b'\n\nignore = ["a\n', 3, "line 3"),
        (b"a = 1\n\nx = = 2\n", 3, "Invalid"),
        (b'ignore = [\n  "good",\n  "bad/**x",\n]\n', 3, "**"),
        (b"# one\nexecutables = 5\n", 2, "list"),
        (b"\nignored = []\n", 2, "no such setting"),
        (b'[[unpack]]\narchive = "*.zip"\ninto = "x"\n[[unpack]]\narchive = "*.tar"\ninto = "{nane}"\n', 6, "{name}"),
        (b'[[unpack]]\narchive = "*.zip"\ninto = "x"\n\n[[unpack]]\narchive = "*.tar"\n', 5, "into"),
        (b'[[unpack]]\narchive = "*.zip"\ninto = "/"\n', 3, "root"),
        (b'catalogs = ["a/../b"]\n', 1, ".."),
        (b'ignore = ["a",\n 7]\n', 1, "string"),
        (b"\xff", 1, "UTF-8"),
        (b"\nx = \xff", 2, "UTF-8"),
        (b"#" * (MAX_SETTINGS_BYTES + 1), 1, "bytes"),
    ],
)
def test_every_complaint_names_its_line(text: bytes, line: int, word: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(text)
    assert f"line {line}" in caught.value.what
    assert word in caught.value.why


@given(st.binary(max_size=200) | st.text(alphabet='ignore=[]"\n{}*/.x\\', max_size=60).map(str.encode))
def test_any_file_is_settings_or_a_complaint(raw: bytes) -> None:
    fault: BadSettings | None = None
    try:
        parse(raw)
    except BadSettings as error:
        fault = error
    assert fault is None or "line" in fault.what


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.sh", ["x.sh", "a/b/.sh"], ["x.shx", "x.sh/y"]),
        ("a/*", ["a/b"], ["a/b/c", "a", "b/a/c"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a/c"]),
        ("**/b", ["b", "a/b", "a/a/b"], ["b/a"]),
        ("a/**/b", ["a/b", "a/x/y/b"], ["a/x", "ab"]),
        ("/a", ["a"], ["b/a"]),
        ("a/", ["a/b", "a/b/c"], ["a", "b/a/c"]),
        ("**", ["a", "a/b"], []),
        ("a?c/x", ["abc/x"], ["a/c/x", "ac/x"]),
        ("[ab]x", ["ax", "q/bx"], ["cx"]),
        ("[!a]/x", ["b/x"], ["a/x"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a*b*c", ["abc", "aXbYc", "abbcbc"], ["acb", "a/bc"]),
        ("[", ["["], ["x"]),
    ],
)
def test_globs(pattern: str, matching: list[str], other: list[str]) -> None:
    matches = compile_globs([pattern])
    assert [path for path in matching + other if matches(path)] == matching


def reference(pattern: list[str], path: list[str]) -> bool:
    """The meaning of a glob with '/', as plainly as it can be said."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(path)
        return any(reference(pattern[1:], path[skip:]) for skip in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and reference(pattern[1:], path[1:])


parts = st.text(alphabet="ab*?", min_size=1, max_size=4).filter(lambda text: "**" not in text)
patterns = st.lists(parts | st.just("**"), min_size=2, max_size=4).filter(lambda list_: list_.count("**") <= 2)


@given(patterns, st.lists(st.text(alphabet="ab", min_size=1, max_size=4), min_size=1, max_size=4))
def test_globs_mean_what_the_plain_reference_means(pattern: list[str], path: list[str]) -> None:
    assert compile_globs(["/".join(pattern)])("/".join(path)) == reference(pattern, path)


def test_no_pattern_runs_away() -> None:
    pattern = "/".join(["**", "*a" * 100 + "b", "**", "*a" * 100 + "b"])
    assert not compile_globs([pattern])("/".join(["a" * 255] * 15))


@pytest.mark.parametrize("pattern", ["", "/", "a//b", "a**", "**/**/**/x", "../a", "x" * 2000])
def test_useless_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(BadGlob):
        check(pattern)
