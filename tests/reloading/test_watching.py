"""Files are watched by what is in them, as they change where a directory is mounted: by another link."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from eventbus.reloading.files import ConfigFiles
from eventbus.reloading.watching import watch

pytestmark = pytest.mark.anyio

TEXT = "sinks: {out: {type: stdout, note: '${file:secret}'}}\n"


@pytest.fixture
def mount(tmp_path: Path) -> Callable[[str, str], Path]:
    """Puts a file and its secret in place as Kubernetes does: a new directory, and a link is swapped."""

    def put(text: str, secret: str) -> Path:
        count = len(list(tmp_path.iterdir()))
        directory = tmp_path / f"..{count}"
        directory.mkdir()
        (directory / "eventbus.yaml").write_text(text)
        (directory / "secret").write_text(secret)
        new = tmp_path / "..data_new"
        new.symlink_to(directory.name)
        new.rename(tmp_path / "..data")
        for name in ("eventbus.yaml", "secret"):
            if not (tmp_path / name).is_symlink():
                (tmp_path / name).symlink_to(f"..data/{name}")
        return tmp_path / "eventbus.yaml"

    return put


async def test_every_change_of_content_is_reloaded_once(mount: Callable[[str, str], Path]) -> None:
    """Of the file, and of a file that it names; the same content in another place is none."""
    files = ConfigFiles([mount(TEXT, "one")])
    files.loaded = files.digest()
    reloads: list[int] = []

    async def reload() -> None:
        files.loaded = files.digest()
        reloads.append(len(reloads))

    async def until(count: int) -> None:
        while len(reloads) < count:  # noqa: ASYNC110 - what is waited for is a list
            await anyio.sleep(0.005)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: watch(files, reload, every_secs=0.005))
        mount(TEXT, "one")
        mount(TEXT + "# more\n", "one")
        await until(1)
        mount(TEXT + "# more\n", "two")
        await until(2)
        (files._paths[0]).unlink()
        await until(3)
        tasks.cancel_scope.cancel()
    assert len(reloads) == 3


async def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    """It is looked at until it is the same twice."""
    path = tmp_path / "eventbus.yaml"
    path.write_text("a")
    files = ConfigFiles([path])
    files.loaded = files.digest()
    seen: list[str] = []
    looks = 0

    class Growing(ConfigFiles):
        def digest(self) -> bytes:
            nonlocal looks
            looks += 1
            if looks < 5:
                path.write_text("a" * (looks + 1))
            return super().digest()

    growing = Growing([path])
    growing.loaded = files.loaded
    done = anyio.Event()

    async def reload() -> None:
        seen.append(path.read_text())
        growing.loaded = files.digest()
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: watch(growing, reload, every_secs=0.002))
        await done.wait()
        tasks.cancel_scope.cancel()
    assert seen == ["aaaaa"]
