"""Damaged variants of a file: what a broken disk, a stopped copy or an attacker leaves."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

__all__ = ["damaged_variants"]

_WILD_INTEGERS = (-1, 0, 1, -(2**31), 2**31 - 1, 2**30, 65536, 255, -7)
_WILD_FLOATS = (np.nan, np.inf, -np.inf, 1e308, -1e200)


def damaged_variants(
    data: bytes, seed: int, count: int, header: int = 256
) -> Iterator[tuple[str, bytes]]:
    """``count`` variants of ``data``, each with a sentence on what was done; never ``data``.

    The same ``seed`` gives the same variants. Kinds follow each other in turn: cut off, wild
    4-byte integers and 8-byte floats among the first ``header`` bytes and anywhere, bytes
    appended, a stretch removed, a stretch zeroed, a stretch of noise, byte order swapped. A change
    inside content that a reader does not use cannot be noticed: a test accepts our error or the
    undamaged result there.
    """
    random = np.random.default_rng(seed)
    kinds = (
        _truncated,
        _integer_in_header,
        _float_anywhere,
        _appended,
        _integer_anywhere,
        _removed,
        _cut_header,
        _zeroed,
        _noise,
        _swapped,
    )
    made = 0
    while made < count:
        what, variant = kinds[made % len(kinds)](data, random, min(header, len(data)))
        if variant != data:
            made += 1
            yield what, variant


def _truncated(data: bytes, random: np.random.Generator, _: int) -> tuple[str, bytes]:
    end = int(random.integers(0, len(data)))
    return f"cut off at byte {end}", data[:end]


def _cut_header(data: bytes, random: np.random.Generator, header: int) -> tuple[str, bytes]:
    end = int(random.integers(0, header))
    return f"cut off at byte {end}", data[:end]


def _integer_in_header(data: bytes, random: np.random.Generator, header: int) -> tuple[str, bytes]:
    return _integer(data, random, int(random.integers(0, max(1, header // 4))) * 4)


def _integer_anywhere(data: bytes, random: np.random.Generator, _: int) -> tuple[str, bytes]:
    return _integer(data, random, int(random.integers(0, max(1, len(data) // 4))) * 4)


def _integer(data: bytes, random: np.random.Generator, at: int) -> tuple[str, bytes]:
    value = int(random.choice(_WILD_INTEGERS))
    return f"integer {value} at byte {at}", _replaced(data, at, struct.pack("<i", value))


def _float_anywhere(data: bytes, random: np.random.Generator, _: int) -> tuple[str, bytes]:
    at = int(random.integers(0, max(1, len(data) // 4))) * 4
    value = float(random.choice(_WILD_FLOATS))
    return f"float {value} at byte {at}", _replaced(data, at, struct.pack("<d", value))


def _appended(data: bytes, random: np.random.Generator, _: int) -> tuple[str, bytes]:
    more = random.bytes(int(random.integers(1, 4096)))
    return f"{len(more)} bytes appended", data + more


def _removed(data: bytes, random: np.random.Generator, _: int) -> tuple[str, bytes]:
    start, end = _stretch(data, random)
    return f"bytes {start} … {end} removed", data[:start] + data[end:]


def _zeroed(data: bytes, random: np.random.Generator, _: int) -> tuple[str, bytes]:
    start, end = _stretch(data, random)
    return f"bytes {start} … {end} zero", _replaced(data, start, bytes(end - start))


def _noise(data: bytes, random: np.random.Generator, _: int) -> tuple[str, bytes]:
    start, end = _stretch(data, random)
    return f"bytes {start} … {end} noise", _replaced(data, start, random.bytes(end - start))


def _swapped(data: bytes, _: np.random.Generator, header: int) -> tuple[str, bytes]:
    whole = header // 4 * 4
    return "header's byte order swapped", np.frombuffer(
        data[:whole], "<i4"
    ).byteswap().tobytes() + data[whole:]


def _stretch(data: bytes, random: np.random.Generator) -> tuple[int, int]:
    start = int(random.integers(0, len(data)))
    return start, start + int(random.integers(1, max(2, min(len(data) - start, 1 << 16))))


def _replaced(data: bytes, at: int, part: bytes) -> bytes:
    return data[:at] + part[: len(data) - at] + data[at + len(part) :]
