"""How a run is gone on with reads as Python and as a command, whatever its folder is called."""

import shlex

import pytest

from workbench.training.remedies import as_commands, resume_call


@pytest.mark.parametrize("path", ["runs/first", "my runs/first", "it's", "a \"b\" 'c'", "back\\slash", "$(x)"])
@pytest.mark.parametrize("previous", [False, True])
def test_the_call_becomes_the_command_for_the_same_folder(path: str, previous: bool) -> None:
    told = as_commands(f"it is damaged; go on with {resume_call(path, previous=previous)}, or start again")
    before, command, after = told[: told.index("`")], told[told.index("`") + 1 : told.rindex("`")], told[-16:]
    assert shlex.split(command) == ["workbench", "train", "--out", path, "--resume", *["previous"][:previous]]
    assert (before, after) == ("it is damaged; go on with ", ", or start again")


def test_a_sentence_without_a_call_stays() -> None:
    assert as_commands("mnist is not on this machine") == "mnist is not on this machine"
