"""Atomic writing: whole or not there, with real refusals of the operating system."""

import subprocess
import sys
import textwrap

import pytest

from wheatstone.errors import OutputError
from wheatstone.files import atomic_path, write_bytes


def test_writes_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b.bin"
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["b.bin"]


def test_temporary_name_keeps_the_suffix(tmp_path):
    with atomic_path(tmp_path / "a.npy") as temporary:
        assert temporary.suffix == ".npy"
        assert temporary.name != "a.npy"
        temporary.write_bytes(b"x")


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def interrupted():
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_name_too_long_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / ("a" * 300), b"x")


def test_a_file_in_place_of_a_folder_is_an_output_error(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError):
        write_bytes(tmp_path / "a" / "b.bin", b"x")


def test_a_real_write_refusal_is_an_output_error(tmp_path):
    """The system refuses to write more than a limit: what a full disk does, without filling one."""
    code = textwrap.dedent(f"""
        import resource, signal
        from pathlib import Path
        from wheatstone.errors import OutputError
        from wheatstone.files import write_bytes
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        folder = Path({str(tmp_path)!r})
        try:
            write_bytes(folder / "big.bin", b"x" * 5000)
        except OutputError as error:
            print("refused", list(folder.iterdir()))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused []"
