"""An exception crosses as itself, whatever its ``__init__`` takes, or not at all."""

from __future__ import annotations

import copyreg
import dataclasses
import pickle
import sys
import threading
import traceback

import pytest

from asyncdataflow._processes.exceptions import portable_error, rebuilt
from asyncdataflow.errors import RemoteError


class CodeError(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class KeywordsError(Exception):
    def __init__(self, *, code):
        super().__init__(f"code {code}")
        self.code = code


class SayingError(Exception):
    """Can be made of its arguments, and is another one then."""

    def __init__(self, name):
        super().__init__(f"no {name}")


class SilentError(Exception):
    """Never hands on what it gets."""

    def __init__(self, code, text="none"):
        self.code = code


class SlotsError(Exception):
    __slots__ = ("__own", "code")

    def __init__(self, code, own):
        super().__init__("slots")
        self.code = code
        self.__own = own

    @property
    def own(self):
        return self.__own


class MoreSlotsError(SlotsError):
    __slots__ = ("more",)

    def __init__(self, code):
        super().__init__(code, "own")
        self.more = "more"
        self.beside = "in the dict"


class NewError(Exception):
    def __new__(cls, code, *, text):
        made = super().__new__(cls, text)
        made.code = code
        return made

    def __init__(self, code, *, text):
        super().__init__(text)


@dataclasses.dataclass
class DataError(Exception):
    code: int
    texts: list[str] = dataclasses.field(default_factory=list, kw_only=True)


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    code: int


class HttpError(ConnectionError):
    def __init__(self, code):
        super().__init__(11, "try again", "a file")
        self.code = code


class MixedError(LookupError, OSError):
    """Has the memory of its second base."""

    def __init__(self, code):
        OSError.__init__(self, code, "mixed")


class NoModuleError(ImportError):
    def __init__(self, code):
        super().__init__("not there", name="wanted", path="/here")
        self.code = code


class EndError(SystemExit):
    def __init__(self, code, why):
        super().__init__(code)
        self.why = why


class DecodeError(UnicodeDecodeError):
    def __init__(self, data):
        super().__init__("utf-8", data, 0, 1, "no text")


class CodeErrors(ExceptionGroup):
    def __new__(cls, errors, code):
        made = super().__new__(cls, f"{len(errors)} errors", errors)
        made.code = code
        return made

    def derive(self, excs):
        return CodeErrors(excs, self.code)


class GroupOfOneError(ExceptionGroup):
    def __new__(cls, *, error):
        return super().__new__(cls, "one", [error])

    def __init__(self, *, error):
        super().__init__("one", [error])


class HoldsALockError(CodeError):
    def __init__(self):
        super().__init__(1, "locked")
        self.lock = threading.Lock()


class SlotForALockError(Exception):
    """What cannot be pickled of it is made again by its ``__init__``, and pickle does not look at slots."""

    __slots__ = ("lock",)

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class OwnReduceError(CodeError):
    def __reduce__(self):
        return OwnReduceError, (self.code, "by its own way")


class RefusesError(CodeError):
    def __reduce__(self):
        raise RuntimeError("no")


class RefusesAllError(CodeError):
    def __reduce_ex__(self, protocol):
        raise RuntimeError("no")


class RefusesOnLoadingError(CodeError):
    def __setstate__(self, state):
        raise RuntimeError("no")


class RegisteredError(CodeError):
    """Its program says how it is pickled."""


class AnotherError(Exception):
    def __reduce__(self):
        return ValueError, ("another",)


class GuardedError(Exception):
    """Nothing of it can be made or set but by its own ``__init__``, and that but once."""

    made = 0

    def __new__(cls, *args):
        if cls.made:
            raise RuntimeError("only one")
        return super().__new__(cls, *args)

    def __setstate__(self, state):
        raise RuntimeError("no")


def crossed(error):
    """What the parent gets of an error that the child raises."""
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001 - told to the parent whatever it is
        told = "".join(traceback.format_exception(raised))
        return rebuilt(portable_error(raised), type(raised).__qualname__, str(raised), told)


def look(error):
    """All that can be seen of an exception but for its notes."""
    state = {name: value for name, value in vars(error).items() if name != "__notes__"}
    return type(error), error.args, str(error), state


PLAIN = {
    "another signature": lambda: CodeError(7, "x"),
    "by name only": lambda: KeywordsError(code=7),
    "text of its arguments": lambda: SayingError("bread"),
    "no arguments handed on": lambda: SilentError(7),
    "its own __new__": lambda: NewError(7, text="x"),
    "a dataclass": lambda: DataError(7, texts=["x"]),
    "a frozen dataclass": lambda: FrozenError(7),
    "an OSError": lambda: HttpError(7),
    "an OSError as second base": lambda: MixedError(7),
    "an ImportError": lambda: NoModuleError(7),
    "an exit": lambda: EndError(7, "x"),
    "a UnicodeDecodeError": lambda: DecodeError(b"\xff"),
    "Python's own": lambda: OSError(2, "no such file", "a file"),
}


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)
def test_it_is_itself_with_its_remote_traceback(make):
    error = make()
    arrived = crossed(error)
    assert arrived is not error
    assert look(arrived) == look(error)
    (note,) = arrived.__notes__
    assert note.startswith("in the worker process:\nTraceback")
    assert "in crossed" in note


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (lambda: HttpError(7), {"errno": 11, "strerror": "try again", "filename": "a file"}),
        (lambda: MixedError(7), {"errno": 7, "strerror": "mixed"}),
        (lambda: NoModuleError(7), {"msg": "not there", "name": "wanted", "path": "/here"}),
        (lambda: EndError(7, "x"), {"code": 7}),
        (lambda: DecodeError(b"\xff"), {"encoding": "utf-8", "object": b"\xff", "end": 1}),
        (lambda: SlotsError(7, "x"), {"code": 7, "own": "x"}),
        (lambda: MoreSlotsError(7), {"code": 7, "own": "own", "more": "more", "beside": "in the dict"}),
    ],
)
def test_so_is_what_is_no_attribute_of_its_dict(make, fields):
    arrived = crossed(make())
    assert type(arrived) is type(make())
    assert {name: getattr(arrived, name) for name in fields} == fields


def test_its_notes_come_along_and_its_cause_in_its_traceback():
    error = CodeError(7, "x")
    error.add_note("mine")
    error.__cause__ = KeyError("why")
    arrived = crossed(error)
    first, second = arrived.__notes__
    assert first == "mine"
    assert "KeyError: 'why'" in second
    assert "mine" not in second
    assert arrived.__cause__ is None


def test_one_that_holds_itself():
    error = CodeError(7, "x")
    error.itself = error
    arrived = crossed(error)
    assert arrived.itself is arrived
    assert arrived.code == 7


class TestGroups:
    def test_members_are_themselves(self):
        error = ExceptionGroup("all", [CodeError(1, "x"), ExceptionGroup("more", [KeywordsError(code=2)])])
        arrived = crossed(error)
        assert (type(arrived), arrived.message) == (ExceptionGroup, "all")
        one, more = arrived.exceptions
        assert (type(one), one.code, type(more.exceptions[0])) == (CodeError, 1, KeywordsError)

    def test_a_subclass_that_takes_something_else(self):
        arrived = crossed(CodeErrors([CodeError(1, "x"), OSError(2, "y")], 7))
        assert (type(arrived), arrived.message, arrived.code) == (CodeErrors, "2 errors", 7)
        assert [type(each) for each in arrived.exceptions] == [CodeError, FileNotFoundError]
        assert arrived.args == (list(arrived.exceptions), 7)
        assert arrived.split(OSError)[0].code == 7

    def test_a_subclass_that_takes_names_only(self):
        arrived = crossed(GroupOfOneError(error=CodeError(1, "x")))
        assert (type(arrived), arrived.exceptions[0].code) == (GroupOfOneError, 1)

    def test_what_another_one_holds(self):
        error = CodeError(7, "x")
        error.first = KeywordsError(code=2)
        assert crossed(error).first.code == 2


def test_a_class_that_says_itself_how_it_is_pickled_is_taken_at_its_word():
    assert crossed(OwnReduceError(7, "x")).args == ("by its own way",)


def test_so_is_the_program_that_says_it(monkeypatch):
    monkeypatch.setitem(
        copyreg.dispatch_table, RegisteredError, lambda error: (RegisteredError, (error.code, "registered"))
    )
    assert crossed(RegisteredError(7, "x")).args == ("registered",)


def test_where_only_pickles_own_way_can_do_it_that_is_taken():
    arrived = crossed(SlotForALockError("x"))
    assert (type(arrived), arrived.args, arrived.lock.locked()) == (SlotForALockError, ("x",), False)


def local_error():
    class LocalError(Exception):
        pass

    return LocalError("mine")


def of_main(monkeypatch):
    """As one that was typed into an interactive session."""
    monkeypatch.setattr(CodeError, "__module__", "__main__")
    return CodeError(7, "mine")


DESCRIBED = {
    "an attribute cannot be pickled": lambda _: HoldsALockError(),
    "its __reduce__ raises": lambda _: RefusesError(7, "x"),
    "its __reduce_ex__ raises": lambda _: RefusesAllError(7, "x"),
    "its __setstate__ raises": lambda _: RefusesOnLoadingError(7, "x"),
    "another type arrives": lambda _: AnotherError("x"),
    "a local class": lambda _: local_error(),
    "a class of __main__": of_main,
    "a member of a group": lambda _: ExceptionGroup("all", [RefusesError(7, "x")]),
}


@pytest.mark.parametrize("make", DESCRIBED.values(), ids=DESCRIBED)
def test_what_cannot_cross_is_described(make, monkeypatch):
    error = make(monkeypatch)
    told = crossed(error)
    assert type(told) is RemoteError
    assert f"{type(error).__qualname__}: {error}" in str(told)
    assert "in crossed" in str(told)


def test_a_class_that_makes_no_second_one(monkeypatch):
    error = GuardedError("x")
    error.code = 7
    monkeypatch.setattr(GuardedError, "made", 1)
    assert type(crossed(error)) is RemoteError


def test_what_is_known_only_there_is_described(monkeypatch):
    whole = portable_error(CodeError(7, "x"))
    monkeypatch.delattr(sys.modules[__name__], "CodeError")
    told = rebuilt(whole, "CodeError", "x", "its traceback")
    assert type(told) is RemoteError
    assert "CodeError: x" in str(told)


def test_nothing_is_loaded_but_by_its_module_and_name():
    """So that what an unpickler forbids stays forbidden."""
    found = []

    class Watched(pickle.Unpickler):
        def find_class(self, module, name):
            found.append((module, name))
            return super().find_class(module, name)

    import io

    Watched(io.BytesIO(portable_error(CodeError(7, "x")))).load()
    assert (__name__, "CodeError") in found
    assert {module for module, _ in found} == {__name__, "asyncdataflow._processes.exceptions"}
