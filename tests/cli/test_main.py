"""The command itself: help without torch, clear exits."""

import os
import subprocess
import sys

import pytest

from wheatstone.cli import VERBS, main


def call(*arguments):
    command = [sys.executable, "-m", "wheatstone.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)


def test_help_lists_every_verb_and_does_not_import_torch():
    code = (
        "import sys\nfrom wheatstone.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: print(end.code)\nprint('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(verb in result.stdout for verb in VERBS)
    assert result.stdout.split()[-2:] == ["0", "False"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_without_torch(verb, capsys):
    code = (
        f"import sys\nfrom wheatstone.cli import main\ntry: main([{verb!r}, '--help'])\n"
        "except SystemExit as end: print('exit', end.code)\nprint('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "usage" in result.stdout
    assert result.stdout.split()[-3:] == ["exit", "0", "False"]


def test_bad_calls_exit_2(capsys):
    for arguments in ([], ["no-such-verb"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
    assert "no-such-verb" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("wheatstone 0.")
