"""What is opened by awaiting it, or by an async with statement, which closes it at its end."""

from __future__ import annotations

import abc
from collections.abc import Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar


class Closing(Protocol):
    """An async context manager."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> object:
        """Close it."""


T = TypeVar("T", bound=Closing)


class Opening(abc.ABC, Generic[T]):
    """Base of what opens something: each time it is awaited or entered, something new."""

    def __init__(self) -> None:
        self._entered: list[T] = []

    @abc.abstractmethod
    async def _open(self) -> T: ...

    def __await__(self) -> Generator[Any, Any, T]:
        return self._open().__await__()

    __iter__ = __await__  # for ``yield from`` in coroutines that are generators

    async def __aenter__(self) -> T:
        opened = await self._open()
        self._entered.append(opened)
        return opened

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._entered.pop().__aexit__(exc_type, exc, traceback)
