"""Secrets come from the environment or a file; errors never show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigateway.errors import ConfigurationError
from aigateway.secrets import resolve


def test_env_reads_a_variable() -> None:
    """Blanks and the newline of `echo` around it are not part of it."""
    assert "s3cret" == resolve("env:KEY", {"KEY": " s3cret\n"}).reveal()


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}, {"KEY": " \n"}])
def test_an_unset_variable_is_named(environ: dict[str, str]) -> None:
    """Unset and empty are the same mistake, and the error names the variable."""
    with pytest.raises(ConfigurationError, match="environment variable KEY is not set or empty"):
        resolve("env:KEY", environ)


def test_file_reads_relative_to_its_folder(tmp_path: Path) -> None:
    """A relative path counts from the configuration, an absolute one from the root."""
    (tmp_path / "key").write_text("s3cret\n", encoding="utf-8")
    (tmp_path / "key").chmod(0o600)

    assert "s3cret" == resolve("file:key", {}, base=tmp_path).reveal()
    assert "s3cret" == resolve(f"file:{tmp_path / 'key'}", {}, base=Path("/elsewhere")).reveal()


def test_a_bad_file_is_named_and_not_shown(tmp_path: Path) -> None:
    """Missing, empty, a folder, not text: each says which file and why."""
    (tmp_path / "empty").write_text(" \n", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfes3cret")
    for path in tmp_path.iterdir():
        path.chmod(0o600)

    for name, reason in [("absent", "No such file"), ("empty", "is empty"), ("binary", "not text"), (".", "directory")]:
        with pytest.raises(ConfigurationError, match=reason) as error:
            resolve(f"file:{name}", {}, base=tmp_path)
        assert str(tmp_path) in error.value.message
        assert "s3cret" not in error.value.message


def test_a_literal_is_refused_with_a_hint() -> None:
    """The value is not repeated, and both ways out are told."""
    for literal in ("sk-live-1", "sk-live:with:colons", "ENV:KEY", "Environment:KEY", ""):
        with pytest.raises(ConfigurationError, match="env:NAME") as error:
            resolve(literal, {"KEY": "x"})
        assert not literal or literal not in error.value.message


def test_a_literal_can_be_allowed() -> None:
    """`allow_literal` takes it as it is; references keep their meaning."""
    assert "sk-live-1" == resolve("sk-live-1", {}, allow_literal=True).reveal()
    assert "x" == resolve("env:KEY", {"KEY": "x"}, allow_literal=True).reveal()


@pytest.mark.parametrize("value", ["one\ntwo", "one\r\nx: y", "a\x00b", "a\x1b[31m"])
def test_a_secret_that_could_end_a_header_is_refused(value: str, tmp_path: Path) -> None:
    """Wherever it comes from, and without showing it."""
    (tmp_path / "key").write_text(value, encoding="utf-8", newline="")
    (tmp_path / "key").chmod(0o600)

    for reference in ("env:KEY", "file:key"):
        with pytest.raises(ConfigurationError, match="line breaks") as error:
            resolve(reference, {"KEY": value}, base=tmp_path)
        assert value not in error.value.message
