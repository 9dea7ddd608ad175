"""Secrets in files: modes that keep them secret, and replacement while we run."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from aigateway.errors import ConfigurationError
from aigateway.secrets import Elsewhere, Secret, WatchedFile, resolve

FIRST, SECOND = "first-secret-0123456789", "other-secret-9876543210"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    write(path, FIRST)
    return path


def write(path: Path, text: str) -> None:
    """Truncate and write, for the owner only."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def replace(path: Path, text: str) -> None:
    """Write beside and rename over, as careful programs do."""
    new = path.with_name("new")
    write(new, text)
    new.replace(path)


def seen(watched: WatchedFile) -> str | None:
    """Give what a look finds."""
    secret = watched()
    return secret.reveal() if secret else None


# -- modes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440, 0o660])
def test_files_of_few_are_read(path: Path, mode: int) -> None:
    """The owner's, and a group's: that is how services are given secrets."""
    path.chmod(mode)

    secret = resolve(f"file:{path}", {})
    assert (FIRST, f"file:{path}") == (secret.reveal(), secret.source)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666, 0o602, 0o777])
def test_files_of_everybody_are_refused(path: Path, mode: int) -> None:
    """With the file, its mode and what to do; the secret is not shown."""
    path.chmod(mode)

    with pytest.raises(ConfigurationError, match=rf"mode {mode:o}\)\. Run chmod 600") as error:
        resolve(f"file:{path}", {})
    assert str(path) in error.value.message
    assert "defaultMode 0400" in error.value.message
    assert FIRST not in error.value.message


def test_a_link_is_as_secret_as_what_it_points_to(path: Path) -> None:
    """Every link itself may be read by everybody."""
    link = path.with_name("link")
    link.symlink_to(path)

    assert FIRST == resolve(f"file:{link}", {}).reveal()
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="mode 644"):
        resolve(f"file:{link}", {})


def test_where_containers_mount_secrets_modes_are_not_ours(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies under /run/secrets is read in any mode; a path that only begins like it is not."""
    path.chmod(0o644)
    for real in ("/run/secrets/key", "/run/secrets/deep/er/key"):
        monkeypatch.setattr(Path, "resolve", lambda self, real=real: Path(real))
        assert FIRST == resolve(f"file:{path}", {}).reveal()
    for real in ("/run/secretsx/key", "/srv/run/secrets/key", "/run/key"):
        monkeypatch.setattr(Path, "resolve", lambda self, real=real: Path(real))
        with pytest.raises(ConfigurationError, match="mode 644"):
            resolve(f"file:{path}", {})


# -- replacement -----------------------------------------------------------------------------------


def test_nothing_new_is_nothing(path: Path) -> None:
    """The first look reads what is there, for it may have changed since the start; after that only changes count."""
    watched = WatchedFile(path)

    assert FIRST == seen(watched)
    assert [None, None] == [seen(watched), seen(watched)]
    assert Secret(FIRST) == watched(force=True)


@pytest.mark.parametrize("put", [write, replace], ids=["truncated", "renamed"])
def test_a_replaced_secret_is_seen_once(path: Path, put: object) -> None:
    """Written over or renamed over, of the same length too."""
    assert callable(put)
    watched = WatchedFile(path)
    seen(watched)

    put(path, SECOND)
    secret = watched()
    assert secret is not None
    assert (SECOND, f"file:{path}") == (secret.reveal(), secret.source)
    assert len(FIRST) == len(SECOND)
    assert seen(watched) is None
    put(path, FIRST + "\n")
    assert FIRST == seen(watched)


def test_a_secret_that_was_replaced_before_the_first_look_is_seen(path: Path) -> None:
    """Between reading the configuration and serving there is time enough."""
    watched = WatchedFile(path)
    replace(path, SECOND)

    assert SECOND == seen(watched)


def test_a_link_that_points_elsewhere_is_a_replacement(path: Path) -> None:
    """Kubernetes turns a link over."""
    other = path.with_name("other")
    write(other, SECOND)
    link = path.with_name("link")
    link.symlink_to(path)
    watched = WatchedFile(link)
    seen(watched)

    fresh = path.with_name("fresh")
    fresh.symlink_to(other)
    fresh.replace(link)
    assert SECOND == seen(watched)


def test_what_cannot_be_used_leaves_the_old_secret_in_force(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Deleted: silence. Emptied, not text, everybody's: one warning each that says why; then back again."""
    watched = WatchedFile(path)
    seen(watched)

    path.unlink()
    assert [None, None] == [seen(watched), watched(force=True)]
    assert [] == caplog.records

    write(path, "")
    assert [None, None] == [seen(watched), seen(watched)]
    write(path, " \n")
    assert seen(watched) is None
    path.write_bytes(b"\xff\xfe" + SECOND.encode())
    assert seen(watched) is None
    assert ["is empty", "is empty", "is not text"] == [
        next(word for word in ("is empty", "is not text") if word in record.getMessage().replace(": it", " it"))
        for record in caplog.records
    ]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert all(
        "stays in force" in record.getMessage() and str(path) in record.getMessage() for record in caplog.records
    )
    assert SECOND not in caplog.text

    write(path, SECOND)
    assert SECOND == seen(watched)


def test_following_the_advice_is_enough(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new secret everybody can read is refused; chmod alone, without writing it again, brings it in."""
    watched = WatchedFile(path)
    seen(watched)
    new = path.with_name("new")
    new.write_text(SECOND, encoding="utf-8")
    new.chmod(0o644)
    new.replace(path)

    assert [None, None] == [seen(watched), seen(watched)]
    assert 1 == caplog.text.count("chmod 600")
    path.chmod(0o600)
    assert SECOND == seen(watched)


def test_a_file_that_cannot_be_read_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Permission is played, for root may read everything: one warning, and `force` looks again."""
    watched = WatchedFile(path)
    seen(watched)
    replace(path, SECOND)

    def refuse(*args: object, **options: object) -> str:
        raise PermissionError(13, os.strerror(13))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refuse)
        assert [None, None] == [seen(watched), seen(watched)]
    assert 1 == caplog.text.count("Permission denied")
    assert Secret(SECOND) == watched(force=True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        assert [None, None] == [seen(watched), watched(force=True)]


def test_a_file_that_is_not_there_yet_comes(tmp_path: Path) -> None:
    """Watched before it is written."""
    watched = WatchedFile(tmp_path / "later")
    assert seen(watched) is None

    write(tmp_path / "later", SECOND)
    assert SECOND == seen(watched)


# -- secrets a plug-in reads -----------------------------------------------------------------------


def test_other_schemes_wait_for_a_plug_in() -> None:
    """`vault:path/to#key` has no value until it is filled; then it is a secret like others."""
    secret = resolve("vault:team/keys#groq:1", {})

    assert isinstance(secret, Elsewhere)
    assert ("vault", "team/keys#groq:1", "vault:") == (secret.scheme, secret.reference, secret.source)
    assert not secret
    before = secret.id
    secret.fill(SECOND)
    assert secret
    assert (SECOND, True) == (secret.reveal(), secret == Secret(SECOND))
    assert before != secret.id == Secret(SECOND).id
    assert hash(secret) == hash(Secret(SECOND))
    assert SECOND not in f"{secret!r} {secret} {secret:>40}"


@pytest.mark.parametrize(
    "reference",
    ["", ":", "vault:", ":path", "Vault:path", "v:path", "va ult:path", "9v:path", "x" * 17 + ":path", "vault", "é:p"],
)
def test_what_is_no_reference_is_taken_for_a_literal_and_refused(reference: str) -> None:
    """And not repeated, for it may be the secret."""
    with pytest.raises(ConfigurationError, match="env:NAME") as error:
        resolve(reference, {})
    assert len(reference) < 6 or reference not in error.value.message


def test_a_literal_that_is_allowed_is_no_reference() -> None:
    """A key with a colon in it, where literals are allowed, is a key."""
    secret = resolve("vault:path", {}, allow_literal=True)

    assert "vault:path" == secret.reveal()
    assert not isinstance(secret, Elsewhere)


@pytest.mark.parametrize("name", ["sk-live-0123456789", "A-B", "A B", "9A", "A\0", "", "$KEY"])
def test_a_secret_in_place_of_a_name_is_not_repeated(name: str) -> None:
    """`env:` is followed by a variable's name; something else may be the secret itself."""
    with pytest.raises(ConfigurationError, match=r"env:GROQ_API_KEY") as error:
        resolve(f"env:{name}", {name: "x"})
    assert not name.strip() or name not in error.value.message


def test_a_secret_knows_where_it_is_from() -> None:
    """So that it can be read again, and an error can say which."""
    assert "env:KEY" == resolve("env:KEY", {"KEY": "x"}).source
    assert "" == Secret("x").source == resolve("x", {}, allow_literal=True).source
