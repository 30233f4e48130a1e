"""What is decided from a listing and a ledger; nothing is read or written."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.backends.bucket import ObjectInfo
from fondaco.backends.errors import Unavailable
from fondaco.software.plan import fingerprint, plan
from fondaco.software.records import Known, Plan, Row, Scope, State, Treatment
from fondaco.software.refusal import Reason
from fondaco.software.rules import Rules, parse

WHOLE = Scope(prefix="cvmfs/", whole=True)
SOME = Scope(prefix="cvmfs/", whole=False)
NOTHING = Rules()
SETTINGS = parse(
    b"""
executables = ["*.sh"]
ignore = ["*.tmp"]
catalogs = ["releases/*"]
[[unpack]]
archive = "*.zip"
into = "unpacked/{name}"
"""
)


def info(key: str, version: int = 1, size: int = 1, **metadata: str) -> ObjectInfo:
    return ObjectInfo(f"cvmfs/{key}", size, f"v{version}", 1_700_000_000 + version, metadata)


def marker(key: str) -> ObjectInfo:
    return info(key, size=0)


def known(*rows: Row) -> Known:
    """Split as the ledger does."""
    plain = [row for row in rows if row.treatment is Treatment.FILE and row.state is State.PUBLISHED and not row.reason]
    return Known({row.key: row.fingerprint for row in plain}, {row.key: row for row in rows if row not in plain})


def after(made: Plan, *before: Row) -> list[Row]:
    """The rows that stand when everything in *made* went well."""
    rows = {row.key: row for row in before if row.key not in made.forget}
    rows |= {row.key: row for row in made.record}
    rows |= {
        one.key: Row(key=one.key, fingerprint=fingerprint(one.info), path=one.path, treatment=one.treatment)
        for one in made.fetch
    }
    return list(rows.values())


def plan_whole(
    *objects: ObjectInfo, rows: list[Row] | None = None, rules: Rules = NOTHING, changed: bool = False
) -> Plan:
    return plan(objects, known(*(rows or ())), rules, WHOLE, rules_changed=changed)


def fetched(made: Plan) -> list[tuple[str, Treatment]]:
    return [(one.path, one.treatment) for one in made.fetch]


def removed(made: Plan) -> list[str]:
    return [one.path for one in made.remove]


def refused(made: Plan) -> dict[str, Reason]:
    return {row.key: row.reason for row in made.record if row.reason}


def published(*objects: ObjectInfo, rules: Rules = NOTHING) -> list[Row]:
    """The ledger after *objects* were published."""
    return after(plan_whole(*objects, rules=rules))


def test_new_changed_gone_and_unchanged() -> None:
    rows = published(info("same"), info("old"), info("gone"))
    made = plan_whole(info("same"), info("old", 2), info("new"), rows=rows)
    assert fetched(made) == [("/new", Treatment.FILE), ("/old", Treatment.FILE)]
    assert removed(made) == ["/gone"]
    assert made.forget == ("cvmfs/gone",)
    assert made.unchanged == 1


@pytest.mark.parametrize("other", [ObjectInfo("cvmfs/a", 2, "v1", 1_700_000_001), info("a", 2)])
def test_any_part_of_the_fingerprint_tells_versions_apart(other: ObjectInfo) -> None:
    assert fetched(plan_whole(other, rows=published(info("a")))) == [("/a", Treatment.FILE)]


def test_nothing_changed_is_an_empty_plan() -> None:
    objects = [info("a"), info("d/b"), marker("d/"), marker("e/"), info("l.rclonelink"), info("x/../y"), info("t.tmp")]
    objects += [info("r.sh"), info("c"), info("c/d"), info("z.zip"), info(".fondaco.toml"), marker("")]
    rows = published(*objects, rules=SETTINGS)
    again = plan_whole(*reversed(objects), rows=rows, rules=SETTINGS)
    assert again.is_empty
    assert again.unchanged == len(objects)


def test_k1_k3_k5_refused_keys_are_recorded_once_and_forgotten_when_gone() -> None:
    bad = [info("../x"), info("a//b"), info("a\nb"), info(".cvmfspublished")]
    made = plan_whole(*bad, info("good"))
    assert fetched(made) == [("/good", Treatment.FILE)]
    assert sorted(refused(made).values()) == ["control-character", "dot-part", "empty-part", "reserved-name"]
    gone = plan_whole(info("good"), rows=after(made))
    assert removed(gone) == []
    assert len(gone.forget) == 4


def test_k2_what_lies_outside_is_refused_even_when_it_is_looked_at() -> None:
    made = plan([ObjectInfo("data/secret.bin", 1, "v1", 1)], known(), NOTHING, SOME)
    assert (made.fetch, made.remove, list(refused(made).values())) == ((), (), [Reason.OUTSIDE])


def test_k7_the_directory_wins_and_the_file_comes_back() -> None:
    rows = published(info("a"))
    clash = plan_whole(info("a"), info("a/b"), rows=rows)
    assert fetched(clash) == [("/a/b", Treatment.FILE)]
    assert removed(clash) == ["/a"]
    assert refused(clash) == {"cvmfs/a": Reason.CLASH}
    rows = after(clash, *rows)
    assert plan_whole(info("a"), info("a/b"), rows=rows).is_empty
    back = plan_whole(info("a"), rows=rows)
    assert fetched(back) == [("/a", Treatment.FILE)]
    assert removed(back) == ["/a/b"]


def test_k7_every_file_above_another_key_is_refused() -> None:
    made = plan_whole(info("a"), info("a/b"), info("a/b/c"), info("l.rclonelink"), info("l/x"), info("m"), marker("m/"))
    assert [path for path, _ in fetched(made)] == ["/a/b/c", "/l/x", "/m"]
    assert set(refused(made)) == {"cvmfs/a", "cvmfs/a/b", "cvmfs/l.rclonelink", "cvmfs/m"}


def test_k7_refused_and_ignored_keys_make_no_directories() -> None:
    made = plan_whole(info("a"), info("a/../b"), info("b"), info("b/x.tmp"), info("c"), info("c/"), rules=SETTINGS)
    assert [path for path, _ in fetched(made)] == ["/a", "/b", "/c"]
    assert refused(made) == {"cvmfs/a/../b": Reason.DOT_PART, "cvmfs/c/": Reason.MARKER_WITH_CONTENT}


def test_k7_keys_not_in_question_count() -> None:
    scope = Scope(prefix="cvmfs/", whole=False, outside=frozenset({"cvmfs/a"}))
    assert refused(plan([info("a")], known(), NOTHING, scope)) == {"cvmfs/a": Reason.CLASH}


def test_k8_markers_are_directories() -> None:
    made = plan_whole(marker("d/"), marker("e/f/"), marker(""))
    assert fetched(made) == [("/d", Treatment.DIRECTORY), ("/e/f", Treatment.DIRECTORY)]
    gone = plan_whole(info("x"), rows=after(made))
    assert [(one.path, one.treatment) for one in gone.remove] == [
        ("/d", Treatment.DIRECTORY),
        ("/e/f", Treatment.DIRECTORY),
    ]


def test_links_lose_their_suffix_and_give_way_to_plain_keys() -> None:
    assert fetched(plan_whole(info("d/l.rclonelink"))) == [("/d/l", Treatment.LINK)]
    made = plan_whole(info("l"), info("l.rclonelink"), info(".rclonelink"))
    assert fetched(made) == [("/.rclonelink", Treatment.FILE), ("/l", Treatment.FILE)]
    assert refused(made) == {"cvmfs/l.rclonelink": Reason.SAME_PATH}
    back = plan_whole(info("l.rclonelink"), info(".rclonelink"), rows=after(made))
    assert fetched(back) == [("/l", Treatment.LINK)]
    assert removed(back) == ["/l"]


def test_a_catalog_marker_or_the_settings_cannot_be_links() -> None:
    made = plan_whole(info("d/.cvmfscatalog.rclonelink"), info(".fondaco.toml.rclonelink"), info(".cvmfsx.rclonelink"))
    assert set(refused(made).values()) == {Reason.RESERVED}
    assert not made.fetch


def test_settings_decide_how_keys_are_taken() -> None:
    made = plan_whole(info("a.sh"), info("a.tmp"), info("x.zip"), info("releases/1/f"), rules=SETTINGS)
    assert fetched(made) == [
        ("/a.sh", Treatment.EXECUTABLE),
        ("/releases/1/f", Treatment.FILE),
        ("/unpacked/x", Treatment.ARCHIVE),
    ]
    assert [(row.key, row.treatment) for row in made.record] == [("cvmfs/a.tmp", Treatment.IGNORED)]
    assert made.catalogs == ("/releases/1",)


def test_changed_settings_touch_only_what_they_mean() -> None:
    objects = [info("a.sh"), info("a.tmp"), info("x.zip"), info("plain")]
    rows = published(*objects)
    made = plan_whole(*objects, rows=rows, rules=SETTINGS, changed=True)
    assert fetched(made) == [("/a.sh", Treatment.EXECUTABLE), ("/unpacked/x", Treatment.ARCHIVE)]
    assert removed(made) == ["/a.tmp", "/x.zip"]
    assert made.unchanged == 1
    back = plan_whole(*objects, rows=after(made, *rows), changed=True)
    assert fetched(back) == [(f"/{name}", Treatment.FILE) for name in ("a.sh", "a.tmp", "x.zip")]
    assert [(one.path, one.treatment) for one in back.remove] == [("/unpacked/x", Treatment.ARCHIVE)]


@pytest.mark.parametrize("key", ["unpacked/x", "unpacked/x/f", "unpacked/x/", "unpacked/x.rclonelink"])
def test_an_archive_gives_way_to_keys_in_its_directory(key: str) -> None:
    other = marker(key) if key.endswith("/") else info(key)
    made = plan_whole(info("x.zip"), other, rules=SETTINGS)
    assert refused(made) == {"cvmfs/x.zip": Reason.ARCHIVE_CLASH}
    assert len(made.fetch) == 1


def test_of_two_archives_for_one_directory_the_first_key_has_it() -> None:
    made = plan_whole(info("b/x.zip"), info("a/x.zip"), info("unpacked"), rules=SETTINGS)
    assert [one.key for one in made.fetch] == ["cvmfs/a/x.zip"]
    assert refused(made) == {"cvmfs/b/x.zip": Reason.ARCHIVE_CLASH, "cvmfs/unpacked": Reason.CLASH}


def test_an_archive_for_an_impossible_directory_is_refused() -> None:
    rules = parse(b'[[unpack]]\narchive = "*.zip"\ninto = "a/{directory}/b"\n')
    assert refused(plan_whole(info("x.zip"), rules=rules)) == {"cvmfs/x.zip": Reason.BAD_ARCHIVE}


def test_objects_over_the_limit_are_refused() -> None:
    scope = Scope(prefix="cvmfs/", whole=True, max_bytes=10)
    made = plan([info("a", size=11), info("b", size=10)], known(), NOTHING, scope)
    assert (fetched(made), refused(made)) == ([("/b", Treatment.FILE)], {"cvmfs/a": Reason.TOO_LARGE})


def test_f12_an_empty_listing_is_held_until_it_is_confirmed() -> None:
    rows = published(info("a"), info("b"))
    for empty in ([], [marker("")], [info("../x")], [info(".fondaco.toml")]):
        made = plan_whole(*empty, rows=rows)
        assert (made.held, made.is_empty) == (2, True)
    confirmed = plan([], known(*rows), NOTHING, Scope(prefix="cvmfs/", whole=True, confirmed_empty=True))
    assert removed(confirmed) == ["/a", "/b"]
    assert plan_whole().is_empty


def test_f12_a_listing_that_fails_gives_no_plan() -> None:
    def broken() -> Iterator[ObjectInfo]:
        yield info("a")
        raise Unavailable("cut off")

    with pytest.raises(Unavailable):
        plan(broken(), known(*published(info("a"), info("b"))), NOTHING, WHOLE)


def test_what_could_not_be_read_is_tried_again_and_content_refusals_are_not() -> None:
    for reason, tries in ((Reason.UNREADABLE, 1), (Reason.BAD_LINK, 0)):
        row = Row(
            key="cvmfs/l.rclonelink",
            fingerprint=fingerprint(info("l.rclonelink")),
            path="/l",
            treatment=Treatment.LINK,
            state=State.REFUSED,
            reason=reason,
        )
        assert len(plan_whole(info("l.rclonelink"), rows=[row]).fetch) == tries
        assert len(plan_whole(info("l.rclonelink", 2), rows=[row]).fetch) == 1


def test_f3_a_change_that_was_cut_off_is_done_again_or_undone() -> None:
    pending = Row(key="cvmfs/a", fingerprint=fingerprint(info("a")), path="/a", state=State.PENDING)
    assert fetched(plan_whole(info("a"), info("b"), rows=[pending])) == [("/a", Treatment.FILE), ("/b", Treatment.FILE)]
    assert removed(plan_whole(info("b"), rows=[pending])) == ["/a"]


def test_f3_what_a_cut_off_change_may_have_overwritten_is_read_again() -> None:
    link = published(info("x.rclonelink"))
    pending = Row(key="cvmfs/x", fingerprint="", path="/x", state=State.PENDING)
    made = plan_whole(info("x.rclonelink"), rows=[*link, pending])
    assert fetched(made) == [("/x", Treatment.LINK)]
    assert removed(made) == ["/x"]


def test_metadata_alone_are_a_change_where_they_are_known() -> None:
    rows = published(info("a"))
    made = plan([info("a", mode="33261")], Known({}, {row.key: row for row in rows}), NOTHING, SOME)
    assert fetched(made) == [("/a", Treatment.FILE)]


files = ["a", "b", "a/b", "a/b/c", "b/a", "t.tmp", "r.sh", "unpacked", "unpacked/z", "unpacked/z/f", ".fondaco.toml"]
others = ["", "a/", "b/", "a.rclonelink", "b/c.rclonelink", "z.zip", "..", "a//b"]
names = st.sampled_from(files + others)
states = st.dictionaries(names, st.integers(1, 2), max_size=8)


def objects_of(state: dict[str, int]) -> list[ObjectInfo]:
    return [marker(key) if key.endswith("/") or not key else info(key, version) for key, version in state.items()]


def visible(rows: list[Row]) -> dict[str, tuple[str, str, Treatment]]:
    return {row.key: (row.path, row.fingerprint, row.treatment) for row in rows if row.is_visible}


@given(states, states)
def test_plans_converge_whatever_came_before(first: dict[str, int], second: dict[str, int]) -> None:
    """From any earlier state the ledger ends as it would have from nothing, and then nothing is left to do."""
    scope = Scope(prefix="cvmfs/", whole=True, confirmed_empty=True)
    rows = after(plan(objects_of(first), known(), SETTINGS, scope))
    rows = after(plan(objects_of(second), known(*rows), SETTINGS, scope), *rows)
    fresh = after(plan(objects_of(dict(reversed(second.items()))), known(), SETTINGS, scope))
    assert visible(rows) == visible(fresh)
    assert {row.key: row.reason for row in rows} == {row.key: row.reason for row in fresh}
    assert plan(objects_of(second), known(*rows), SETTINGS, scope).is_empty


@given(states)
def test_no_two_keys_are_published_at_one_path_or_below_a_file(state: dict[str, int]) -> None:
    rows = [row for row in published(*objects_of(state), rules=SETTINGS) if row.is_visible]
    files = [row.path for row in rows if row.treatment.is_file]
    assert len(set(files)) == len(files)
    for row in rows:
        assert not any(row.path.startswith(f"{file}/") for file in files)
        assert row.treatment.is_file or row.path not in files


@given(states, states)
def test_everything_published_before_is_kept_replaced_or_removed(first: dict[str, int], second: dict[str, int]) -> None:
    scope = Scope(prefix="cvmfs/", whole=True, confirmed_empty=True)
    before = after(plan(objects_of(first), known(), SETTINGS, scope))
    made = plan(objects_of(second), known(*before), SETTINGS, scope)
    left = {path for path, _, _ in visible(after(made, *before)).values()}
    for row in before:
        if row.is_visible and row.path not in left:
            assert row.path in removed(made)
