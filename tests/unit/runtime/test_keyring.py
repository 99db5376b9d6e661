"""The sealing key: from the setting, or from a file that only we can read."""

import random
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from custodes.errors import ConfigurationError
from custodes.runtime.keyring import keys_from

bits = random.Random(3).getrandbits


def test_the_setting_wins_and_no_file_is_made(tmp_path: Path):
    file = tmp_path / "custodes.db.key"

    assert keys_from(["a" * 32, "b" * 32], file, bits) == ["a" * 32, "b" * 32]
    assert not file.exists()


def test_a_file_is_made_once_for_this_user_only(tmp_path: Path):
    file = tmp_path / "deep" / "custodes.db.key"

    first = keys_from([], file, bits)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keys_from([], file, bits) == first
    assert len(first[0]) >= 43
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_start_that_was_killed_is_not_in_the_way_of_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Given a process that was killed while it made the file, and one that has the same process id."""
    file = tmp_path / "custodes.db.key"
    with monkeypatch.context() as killed:
        killed.setattr("os.link", _raise)
        killed.setattr(Path, "unlink", _raise)
        with pytest.raises(KeyboardInterrupt):
            keys_from([], file, bits)

    assert len(keys_from([], file, bits)) == 1


def _raise(*_: object) -> None:
    raise KeyboardInterrupt


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path):
    file = tmp_path / "custodes.db.key"

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: tuple(keys_from([], file, random.SystemRandom().getrandbits)), range(16)))

    assert len(set(keys)) == 1


def test_a_file_that_others_may_read_is_refused(tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("k" * 43)
    file.chmod(0o644)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        keys_from([], file, bits)


def test_a_folder_that_cannot_be_used_is_told_plainly(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="CUSTODES_SECRET_KEY"):
        keys_from([], tmp_path / "file" / "key", bits)


def test_without_a_file_the_key_is_this_process_s_own():
    assert keys_from([], None, bits) != keys_from([], None, bits)
