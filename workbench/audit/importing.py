"""A Python object by its import path, the way a user's own network or data set is named.

Importing runs the code of the module that is named: that is the user's own code, and whoever names it says so.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

RUNS_CODE = (
    "Importing a network or a data set by its path runs the Python code of that module, with your rights: "
    "name only modules that you would run yourself."
)


def import_object(name: str) -> Any:
    """The object behind ``package.module:attribute`` or ``folder/file.py:attribute``.

    Modules are looked for in the current folder first, as ``python -m`` does. The module's code is run.

    Raises:
        ValueError: for a name of another form, an attribute that is not there, or a module that fails while it runs.
        FileNotFoundError: for a file that does not exist.
        ModuleNotFoundError: for a module that cannot be found.

    >>> import_object("torch.nn:Identity").__name__
    'Identity'
    """
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not all(part.isidentifier() for part in attribute.split(".")):
        raise ValueError(f"{name!r} was given; expected package.module:name, for example 'mynet:build'.")
    value = _from_file(Path(where)) if where.endswith(".py") else _module(where)
    for part in attribute.split("."):
        if not hasattr(value, part):
            there = (
                ", ".join(n for n in vars(value) if not n.startswith("_"))[:300] if hasattr(value, "__dict__") else ""
            )
            raise ValueError(f"{where} has no {attribute!r}; expected one of its names: {there or 'it has none'}.")
        value = getattr(value, part)
    return value


def made(value: Any, name: str) -> Any:
    """The data set itself, where a class or a function without arguments was named; anything else as it is.

    Raises:
        ValueError: for one that needs arguments, naming them and the way, or that fails.

    >>> made(dict, "mine:data"), made([1, 2], "mine:data")
    ({}, [1, 2])
    """
    if not isinstance(value, type) and (not callable(value) or hasattr(value, "__getitem__")):
        return value
    noun = "class" if isinstance(value, type) else "function"
    if needed := _needed(value):
        raise ValueError(
            f"{name} is a {noun} that needs {', '.join(needed)}; expected one without arguments; write a function that "
            f"calls it with them, `def data(): return {getattr(value, '__name__', 'it')}({', '.join(needed)})`, and "
            "name that one."
        )
    try:
        return value()
    except Exception as error:  # the user's own code may fail in any way
        words = str(error).splitlines()[0] if str(error) else "no message"
        raise ValueError(f"{name}() failed ({type(error).__name__}: {words}); call it by itself first.") from error


def _needed(value: Any) -> list[str]:
    """Arguments without which it cannot be called."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):  # written in C
        return []
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in open_ended]


def is_import_path(name: str) -> bool:
    """Whether a name looks like ``module:attribute`` and not like a file or folder.

    >>> is_import_path("mynet:build"), is_import_path("C:/photos"), is_import_path("photos")
    (True, False, False)
    """
    where, colon, attribute = name.rpartition(":")
    return bool(colon and where) and all(part.isidentifier() for part in attribute.split("."))


def _module(where: str) -> Any:
    if not all(part.isidentifier() for part in where.split(".")):
        raise ValueError(f"{where!r} is no module name; expected names joined by dots, or a file that ends in .py.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        missing = error.name or where
        if where == missing or where.startswith(f"{missing}."):
            hint = f"start in the folder that holds it (now {Path.cwd().name}/), or give the file: path/to/file.py:name"
            raise ModuleNotFoundError(f"there is no module {where!r}; {hint}.", name=missing) from error
        raise ModuleNotFoundError(
            f"{where} needs the module {missing!r}, which is not installed.", name=missing
        ) from error
    except Exception as error:
        raise _failed(where, error) from error


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a Python file that holds the object.")
    name = f"_audited_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python module; expected a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # its neighbours, as `python file.py` would find them
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _failed(str(path), error) from error
    finally:
        sys.path.remove(folder)
    return module


def _failed(where: str, error: Exception) -> ValueError:
    words = str(error).splitlines()[0] if str(error) else "no message"
    return ValueError(
        f"the code of {where} failed while it was imported ({type(error).__name__}: {words}); run it first."
    )
