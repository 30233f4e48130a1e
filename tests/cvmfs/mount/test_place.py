"""What is said where nothing can be mounted."""

from pathlib import Path

import pytest

from fondaco.cvmfs.errors import BadMountPoint, MountUnavailable
from fondaco.cvmfs.mount import place


def test_a_folder_will_do(tmp_path: Path) -> None:
    assert place.check_mountpoint(tmp_path) == tmp_path.resolve()


def test_no_folder_and_a_mounted_one_will_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for bad, why in ((tmp_path / "none", "no such folder"), (tmp_path / "file", "no folder"), (Path("/"), "already")):
        with pytest.raises(BadMountPoint, match=why):
            place.check_mountpoint(bad)


def test_a_machine_without_fuse_is_told_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MountUnavailable, match=r"fondaco\[mount\]"):
        place.check_fuse()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    with pytest.raises(MountUnavailable, match="there is no"):
        place.check_fuse(tmp_path / "fuse")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(MountUnavailable, match="fusermount3"):
        place.check_fuse(tmp_path)
