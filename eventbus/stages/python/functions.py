"""Functions that users name: found, and looked at, when the configuration is read."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from eventbus.suggestions import did_you_mean

__all__ = ["Function", "check_file", "found", "is_async"]

Function: TypeAlias = Callable[[Any], Any]


def found(function: str, file: str | None) -> Function:
    """A function that can be called with one argument.

    Args:
        function: Its name in a file, or a module and its name there, such as ``mypackage.module:enrich``.
        file: The file, if it is in one.

    Raises:
        ValueError: There is no such function, or it cannot be called so; the text says why.
    """
    module_name, colon, name = function.rpartition(":")
    if file is not None:
        if colon:
            raise ValueError("with file it is the name of a function alone")
        module = _of_file(Path(file))
    elif module_name and name:
        module = _imported(lambda: import_module(module_name), module_name)
    else:
        raise ValueError(
            "expected a module and a function, such as mypackage.module:enrich, or say its file too"
        )
    if name not in vars(module):
        functions = [one for one, value in vars(module).items() if inspect.isroutine(value)]
        raise ValueError(f"there is no {name} in {file or module_name}{did_you_mean(name, functions)}")
    return _callable(name, vars(module)[name])


def is_async(function: Function) -> bool:
    """Whether it is called in the event loop and awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - asked for what it is, not whether it is there
    )


def check_file(file: str) -> str:
    """A file that can be read.

    Raises:
        ValueError: It cannot; the text says why.
    """
    _read(Path(file))
    return file


def _of_file(path: Path) -> ModuleType:
    """The file as a module; the same one for whoever names the file, as long as it stays as it is."""
    text = _read(path)
    digest = sha256(str(path.absolute()).encode() + b"\0" + text).hexdigest()
    name = f"eventbus_stage_{path.stem}_{digest[:16]}"
    return sys.modules.get(name) or _imported(lambda: _executed(name, path, text), path.name)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path.absolute()} cannot be read: {error.strerror}") from None


def _executed(name: str, path: Path, text: bytes) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = str(path.absolute())
    sys.modules[name] = module  # before it runs, since dataclasses look their module up
    try:
        exec(compile(text, module.__file__, "exec"), vars(module))  # noqa: S102 - that is what users ask for
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _imported(load: Callable[[], ModuleType], what: str) -> ModuleType:
    try:
        return load()
    except SyntaxError as error:
        raise ValueError(f"{what} is no Python: line {error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:  # a foreign module may raise anything while it is imported
        said = str(error).partition("\n")[0]
        raise ValueError(f"{what} cannot be imported: {type(error).__name__}: {said}") from error


def _callable(name: str, value: Any) -> Function:
    if isinstance(value, type) or not callable(value):
        raise ValueError(f"{name} is no function")  # noqa: TRY004 - that is how options are refused
    function: Function = value
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ValueError(f"{name} yields: it must return what becomes of the event")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one that is not written in Python tells nothing
        return function
    try:
        signature.bind(None)
    except TypeError as error:
        raise ValueError(
            f"{name} must take one argument, the event, or with batch the list of events: {error}"
        ) from None
    return function
