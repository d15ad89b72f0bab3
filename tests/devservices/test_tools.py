"""Tools for what is shipped: found where they are, fetched where they are not, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus.devservices import Unavailable
from eventbus.devservices.tools import TOOLS, custom_resources, tool


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, and a cache that is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("EVENTBUS_SERVICES_CACHE", str(tmp_path / "cache"))
    return folder


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", TOOLS)
def test_one_on_path_is_taken(only: Path, name: str) -> None:
    """Nothing is fetched then."""
    _program(only / name, "exit 0")
    assert tool(name).argv == (str(only / name),)


def test_what_go_builds_is_called_by_its_name(only: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`go install` names a program after its package's last word, which need not be its name."""
    _program(only / "go", 'printf "#!/bin/sh\\n" > "$GOBIN/cmd"; echo "$@" > "$GOBIN/../words"')
    (found,) = tool("compose-go").argv
    assert Path(found).name == "compose-go"
    assert Path(found).exists()
    assert "compose-go/v2/cmd@v2" in (Path(found).parents[1] / "words").read_text()
    assert "building compose-go" in capfd.readouterr().err
    assert tool("compose-go").argv == (found,)
    assert capfd.readouterr().err == ""


def test_definitions_are_made_from_packages_of_types(only: Path) -> None:
    """Two calls of Go: the modules with their versions, then the generator over the packages."""
    _program(only / "go", 'echo "$@" >> ../../words; /bin/cat types.go >> ../../words')
    folder = custom_resources()
    words = (folder.parent / "words").read_text()
    assert "get github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring@v" in words
    assert 'import _ "github.com/kedacore/keda/v2/apis/keda/v1alpha1"\n' in words
    assert list(folder.iterdir()) == []


def test_what_cannot_be_had_is_one_sentence(only: Path) -> None:
    """With what to do."""
    with pytest.raises(Unavailable, match=r"^No promtool can be had here \(.*\): put it on PATH\.$"):
        tool("promtool")
