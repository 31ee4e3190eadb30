"""The C library is asked where it is glibc's, and nothing happens where it is not."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator

import pytest

from modelrollout.shell import allocator, main
from modelrollout.shell.outside import Outside


class Library:
    """Knows these functions, and keeps what they are called with."""

    def __init__(self, **functions: int) -> None:
        self.called: list[tuple[str, tuple[int, ...]]] = []
        for name, answer in functions.items():
            setattr(self, name, self._function(name, answer))

    def _function(self, name: str, answer: int) -> object:
        def call(*given: int) -> int:
            self.called.append((name, given))
            return answer

        return call


@pytest.fixture(autouse=True)
def unknown() -> Iterator[None]:
    allocator._glibc.cache_clear()
    yield
    allocator._glibc.cache_clear()


def loaded(monkeypatch: pytest.MonkeyPatch, library: Library) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)


def test_there_are_few_heaps_and_what_is_free_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(mallopt=1, malloc_trim=1)
    loaded(monkeypatch, library)
    assert allocator.tame()
    assert allocator.trim()
    assert library.called == [("mallopt", (-8, 2)), ("malloc_trim", (0,))]


def test_a_refused_setting_and_nothing_to_give_back_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, Library(mallopt=0, malloc_trim=0))
    assert not allocator.tame()
    assert not allocator.trim()


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(mallopt=1)
    loaded(monkeypatch, library)
    assert not allocator.tame()
    assert not allocator.trim()
    assert library.called == []


def test_a_system_without_one_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: object) -> object:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not allocator.tame()


def test_the_real_one_gives_back_what_was_freed_where_it_is_glibc() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    held = [library.malloc(100_000) for _ in range(200)]
    last = library.malloc(1000)
    for block in held:
        library.free(block)
    assert allocator.trim() is (platform.libc_ver()[0] == "glibc")
    library.free(last)


def test_an_operator_has_few_heaps_before_it_starts_and_gives_back_after_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def serve(settings: object) -> int:
        done.append("serve")
        return 0

    monkeypatch.setattr(allocator, "tame", lambda: done.append("tame"))
    monkeypatch.setattr(main, "serve", serve)
    monkeypatch.setattr(main, "configure", lambda *given: None)
    assert main.run({"lease_namespace": "default"}) == 0
    assert done == ["tame", "serve"]
    assert Outside().give_back is allocator.trim
