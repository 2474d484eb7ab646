"""Running programs: real ones, as a fake would prove nothing here."""

import sys
from pathlib import Path

import pytest
from domus_errors import ToolFailed
from domus_run import Runner, redact

PYTHON = sys.executable


def test_output_comes_back_and_input_goes_in() -> None:
    result = Runner().run(["tr", "a-z", "A-Z"], input="text", timeout_seconds=20)
    assert (result.stdout, result.returncode) == ("TEXT", 0)


@pytest.mark.parametrize("hostile", ["$(id)", "`id`", "; id", "a\nb", "'\"", "*"])
def test_argument_is_never_read_by_a_shell(hostile: str) -> None:
    assert Runner().run(["printf", "%s", hostile], timeout_seconds=20).stdout == hostile


def test_failure_names_command_code_and_what_was_said() -> None:
    command = [PYTHON, "-c", "import sys; sys.exit('it is broken')"]
    with pytest.raises(ToolFailed, match=r"ended with code 1: it is broken$"):
        Runner().run(command, timeout_seconds=20)


def test_secret_is_in_no_part_of_the_error() -> None:
    command = [PYTHON, "-c", "import sys; sys.exit('bad password ' + sys.argv[1])", "hunter2"]
    with pytest.raises(ToolFailed) as failed:
        Runner().run(command, timeout_seconds=20, secrets=["hunter2"])
    assert "hunter2" not in str(failed.value)
    assert str(failed.value).count("********") == 2


def test_longer_secret_is_hidden_before_the_shorter_one_in_it() -> None:
    assert redact("a secret-key and a secret", ["secret", "secret-key", ""]) == "a ******** and a ********"


def test_missing_program_is_a_failure_and_not_a_traceback() -> None:
    with pytest.raises(ToolFailed, match="could not be started: No such file or directory"):
        Runner().run(["/nonexistent/program"], timeout_seconds=20)


def test_program_and_its_children_die_at_the_time_limit() -> None:
    # The child holds the pipe open; reading to its end would last as long as it lives.
    command = ["sh", "-c", "sleep 600 & sleep 600"]
    with pytest.raises(ToolFailed, match=r"did not end within 0\.2 seconds"):
        Runner().run(command, timeout_seconds=0.2)


def test_environment_is_small_and_the_locale_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINION_SECRET", "hunter2")
    said = Runner().run(["env"], timeout_seconds=20, env={"EXTRA": "1"}).stdout
    assert "MINION_SECRET" not in said
    assert {"LC_ALL=C", "EXTRA=1"} <= set(said.splitlines())


def test_other_codes_can_be_allowed() -> None:
    assert Runner().run(["false"], timeout_seconds=20, returncodes=(0, 1)).returncode == 1


def test_log_gets_both_streams_and_the_error_its_end(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("before\n")
    command = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    with pytest.raises(ToolFailed, match=r"ended with code 3: out\s+err$"):
        Runner().run(command, timeout_seconds=20, log_path=log)
    assert log.read_text() == "before\nout\nerr\n"
