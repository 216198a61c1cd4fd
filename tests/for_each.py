"""A law over names as one test: a loop over the values, told apart in the message of a failure."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

Failed = (Exception, pytest.fail.Exception)


def for_each(names: str | tuple[str, ...], values: Iterable[Any], ids: Any = None) -> Callable[[Any], Any]:
    """As `pytest.mark.parametrize`, in one test: it goes on after a failure and then names every value that failed.

    For laws whose cases take milliseconds, where a test for each would cost more than its work. Several may stand above
    one another. Every value has a folder of its own as ``tmp_path``, undoes its patches of ``monkeypatch``, and finds
    nothing that the one before it printed in ``capsys``; other fixtures are shared.

    Args:
        ids: Names of the values, or a function from one of its parts to a name; as they are written where None.
    """
    arguments = tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names
    listed = list(values)
    assert listed, f"{names} has no values: the test would check nothing"
    cases = [_case(arguments, value) for value in listed]
    told = list(ids) if ids is not None and not callable(ids) else [None] * len(cases)

    def looped(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def loop(*args: Any, **fixtures: Any) -> None:
            failures, skipped = [], []
            for number, (case, name) in enumerate(zip(cases, told, strict=True)):
                try:
                    with pytest.MonkeyPatch.context() as patch:
                        test(*args, **case, **_own(fixtures, patch, number))
                except pytest.skip.Exception as reason:
                    skipped.append(reason)
                except Failed as error:
                    error.add_note(f"with {name or ', '.join(f'{k}={v!r}' for k, v in case.items())}")
                    failures.append(error)
            if len(failures) == 1:
                raise failures[0]
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(cases)} values of {', '.join(arguments)}", failures)
            if len(skipped) == len(cases):
                raise skipped[0]

        parameters = inspect.signature(test).parameters.values()
        kept = [parameter for parameter in parameters if parameter.name not in arguments]
        loop.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
        return loop

    return looped


def _case(arguments: tuple[str, ...], value: Any) -> dict[str, Any]:
    if hasattr(value, "marks"):
        assert not value.marks, "a value with a mark needs a test of its own: use pytest.mark.parametrize"
        return dict(zip(arguments, value.values, strict=True))
    return dict(zip(arguments, [value] if len(arguments) == 1 else value, strict=True))


def _own(fixtures: Mapping[str, Any], patch: pytest.MonkeyPatch, number: int) -> dict[str, Any]:
    own = dict(fixtures)
    if "monkeypatch" in own:
        own["monkeypatch"] = patch
    if isinstance(folder := own.get("tmp_path"), Path):
        own["tmp_path"] = folder / str(number)
        own["tmp_path"].mkdir()
        if Path.cwd() == folder:  # a fixture went there
            patch.chdir(own["tmp_path"])
    if "capsys" in own:
        own["capsys"].readouterr()
    return own
