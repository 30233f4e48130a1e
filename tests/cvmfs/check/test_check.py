"""Each kind of damage, made in a good repository, is found; and nothing is found in the good one."""

from pathlib import Path

import pytest

from fondaco.cvmfs.check import Code, Finding, Report, Totals, check
from fondaco.cvmfs.check.findings import MAX_FINDINGS
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.errors import KeyUnusable, NotInRepository, ObjectMissing, StoreFailed
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.check.damage import ALL, DAMAGE, GOOD, HELLO, counter, set_row
from tests.cvmfs.check.workbench import MOUNTPOINTS, Workbench
from tests.cvmfs.conftest import GoldenRepository


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_found_where_clients_are_content(bench: Workbench, name: str) -> None:
    where, edits = GOOD[name]
    for mountpoint in MOUNTPOINTS if where == ALL else [where]:
        bench.edit(mountpoint, *edits)
    bench.publish()
    report = bench.check(content=True)
    assert [str(finding) for finding in report.findings] == []
    assert report.clean


def test_the_reference_repository_is_clean_with_its_own_key(golden: GoldenRepository) -> None:
    for tag in (None, "v1.0", "v2.0", "trunk-previous"):
        seen: list[tuple[int, int]] = []

        def progress(totals: Totals, seen: list[tuple[int, int]] = seen) -> None:
            seen.append((totals.entries, totals.bytes))

        store = LocalStore(golden.root)
        report = check(store, [golden.public_key], tag=tag, content=True, now=golden.valid_at, progress=progress)
        assert [str(finding) for finding in report.findings] == []
        assert (report.totals.catalogs, report.totals.objects) == (3, 63)
        assert report.totals.bytes > 1_000_000
        assert seen == sorted(seen)
        assert seen[-1] == (report.totals.entries, report.totals.bytes)


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_of_a_catalog_is_found(bench: Workbench, name: str) -> None:
    codes, mountpoint, edits = DAMAGE[name]
    bench.edit(mountpoint, *edits)
    bench.publish()
    assert bench.codes() == {code.value for code in codes}


ROW_DAMAGE_PATHS = {
    "a short hash": "/bin/hello",
    "a name with a slash": "/bin/a/b",
    "a file below a mountpoint": "/nested",
    "a link count of 0": "/bin/hello",
    "a gap between chunks": "/chunked.txt",
    "a root prefix in the root catalog": "",
    "a marker elsewhere": "/bin/.cvmfscatalog",
    "another root prefix": "/nested",
}


@pytest.mark.parametrize("name", ROW_DAMAGE_PATHS)
def test_a_finding_says_where(bench: Workbench, name: str) -> None:
    codes, mountpoint, edits = DAMAGE[name]
    bench.edit(mountpoint, *edits)
    bench.publish()
    assert ROW_DAMAGE_PATHS[name] in {finding.path for finding in bench.check().findings if finding.code in codes}


# -- objects -----------------------------------------------------------------------------------------------------------


def test_a_missing_object_of_a_file_is_found(bench: Workbench) -> None:
    bench.publish()
    (bench.folder / "data/3c/36c11eb530276c138c804e43e9bcfd3c1a0e59").unlink()
    (finding,) = bench.check().findings
    assert (finding.code, finding.path) == (Code.OBJECT_MISSING, "/bin/hello")
    assert bench.codes(content=True) == {"object-missing"}


def test_a_missing_chunk_is_found(bench: Workbench) -> None:
    bench.publish()
    next(bench.folder.glob("data/*/*P")).unlink()
    (finding,) = bench.check().findings
    assert (finding.code, finding.path) == (Code.OBJECT_MISSING, "/chunked.txt")


def first_chunk(bench: Workbench) -> Digest:
    path = next(bench.folder.glob("data/*/*P"))
    return Digest(bytes.fromhex(path.parent.name + path.name.removesuffix("P")))


@pytest.mark.parametrize("suffix", list(Suffix))
def test_damaged_objects_are_found_by_reading_them(bench: Workbench, suffix: Suffix) -> None:
    bench.publish()
    for digest in {
        Suffix.FILE: [Digest(bytes.fromhex("3c36c11eb530276c138c804e43e9bcfd3c1a0e59"))],
        Suffix.CHUNK: [first_chunk(bench)],
        Suffix.CATALOG: [bench.manifest.root_catalog],
        Suffix.HISTORY: [bench.manifest.history],
        Suffix.CERTIFICATE: [bench.manifest.certificate],
        Suffix.METAINFO: [bench.manifest.metainfo],
    }[suffix]:
        assert digest is not None
        bench.object_path(digest, suffix).write_bytes(b"damaged")
    found = bench.codes(content=True)
    assert "object-damaged" in found
    assert found <= {"object-damaged", "untrusted"}


def test_a_size_that_the_content_has_not_is_found_by_reading(bench: Workbench) -> None:
    bench.edit("", set_row(HELLO, "size = 22"), counter("file_size", 1))
    bench.publish()
    assert bench.codes() == set()
    (finding,) = bench.check(content=True).findings
    assert (finding.code, finding.path) == (Code.OBJECT_DAMAGED, "/bin/hello")
    assert "should have 22 bytes of content" in finding.message


def test_external_files_are_not_looked_for(bench: Workbench) -> None:
    bench.edit(
        "",
        set_row(HELLO, f"flags = flags | 128, hash = X'{'11' * 20}'"),
        counter("external", 1),
        counter("external_file_size", 21),
    )
    bench.publish()
    assert bench.codes(content=True) == set()


def test_a_missing_catalog_hides_nothing_else(bench: Workbench) -> None:
    bench.edit("", set_row(HELLO, "hardlinks = 0"))
    bench.publish()
    text = bench.images["/nested"]
    digest = bench.put(text, Suffix.CATALOG)
    bench.object_path(digest, Suffix.CATALOG).unlink()
    assert {(finding.code, finding.path) for finding in bench.check().findings} == {
        (Code.OBJECT_MISSING, "/nested"),
        (Code.LINK_COUNT, "/bin/hello"),
    }


class _Failing(LocalStore):
    def exists(self, key: str) -> bool:
        if key.startswith("data/"):
            raise StoreFailed("the store does not answer")
        return super().exists(key)


def test_a_store_that_fails_is_an_error_and_no_finding(bench: Workbench) -> None:
    bench.publish()
    with pytest.raises(StoreFailed):
        check(_Failing(bench.folder), bench.public_keys, now=bench.now)


def test_errors_of_the_caller_are_no_findings(bench: Workbench, tmp_path: Path) -> None:
    bench.publish()
    with pytest.raises(NotInRepository, match="no tag 'v9'"):
        bench.check(tag="v9")
    with pytest.raises(KeyUnusable):
        check(bench.store, [b"no key"], now=bench.now)
    with pytest.raises(ObjectMissing):
        check(LocalStore.create(tmp_path / "empty"), bench.public_keys, now=bench.now)


def test_another_repository_than_the_one_asked_for_is_found(bench: Workbench) -> None:
    bench.publish()
    assert bench.codes(fqrn="other.example.org") == {"untrusted"}


def test_the_documentation_lists_exactly_the_codes() -> None:
    text = (Path(__file__).parents[3] / "docs" / "check.md").read_text()
    listed = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert listed == [code.value for code in Code]


def test_findings_are_printed_with_place_and_code() -> None:
    assert str(Finding(Code.NAME, "", "it is odd")) == "/: it is odd [name]"
    assert str(Finding(Code.NAME, "/a\udcff", "it is odd")) == "/a\\xff: it is odd [name]"


def test_a_ruined_repository_does_not_fill_the_memory() -> None:
    report = Report()
    for number in range(MAX_FINDINGS + 5):
        report.add(Code.OBJECT_MISSING, f"/{number}", "gone")
    assert (len(report.findings), report.more, report.clean) == (MAX_FINDINGS, 5, False)
