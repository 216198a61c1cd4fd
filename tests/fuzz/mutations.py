"""Damage of every kind to a valid file, drawn by one numpy generator, so that a number says which input it was."""

from collections.abc import Callable, Sequence

import numpy as np

LENGTHS = tuple(
    value.to_bytes(width, order)
    for width in (1, 2, 4, 8)
    for order in ("little", "big")
    for value in (0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1)
)
"""What readers take for sizes, counts and offsets at the ends of their ranges."""
DIGITS = (b"0", b"-1", b"1e999", b"NaN", b"9" * 12, b"null", b'""', b"[]", b"{}", b"\\ud800")
LONGEST = 2**16

Random = np.random.Generator


def _place(random: Random, data: bytearray) -> int:
    """Somewhere in ``data``; the ends, where headers and directories are, as often as all the rest."""
    near = int(random.integers(0, min(len(data), 64) + 1))
    match int(random.integers(4)):
        case 0:
            return near
        case 1:
            return len(data) - near
    return int(random.integers(0, len(data) + 1))


def flip_bits(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    for _ in range(int(random.integers(1, 9))):
        if data:
            data[min(_place(random, data), len(data) - 1)] ^= 1 << int(random.integers(8))


def change_bytes(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = _place(random, data)
    length = int(random.integers(1, 17))
    data[start : start + length] = random.bytes(min(length, len(data) - start))


def truncate(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[_place(random, data) :]


def lose_the_start(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[: _place(random, data)]


def cut_out(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = _place(random, data)
    del data[start : start + int(random.integers(1, 33))]


def repeat(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start, length = _place(random, data), int(random.integers(1, 257))
    data[start:start] = data[start : start + length]


def insert_bytes(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = _place(random, data)
    data[start:start] = random.bytes(int(random.integers(1, 17)))


def write_length(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = _place(random, data)
    value = LENGTHS[int(random.integers(len(LENGTHS)))]
    data[start : start + len(value)] = value


def write_word(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Put an awkward number or JSON value in place of a few bytes: of a run of digits where one is near."""
    start = _place(random, data)
    end = start
    while end < len(data) and chr(data[end]).isdigit():
        end += 1
    data[start : max(end, start + 1)] = DIGITS[int(random.integers(len(DIGITS)))]


def splice(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = bytearray(others[int(random.integers(len(others)))])
    data[_place(random, data) :] = other[_place(random, other) :]


def swap(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Two pieces of one length change places."""
    first, second = _place(random, data), _place(random, data)
    length = min(int(random.integers(1, 33)), len(data) - max(first, second))
    if length > 0:
        one, two = data[first : first + length], data[second : second + length]
        data[first : first + length], data[second : second + length] = two, one


def random_bytes(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = _place(random, data)
    data[start:] = random.bytes(int(random.integers(0, 257)))


MUTATIONS: tuple[Callable[[Random, bytearray, Sequence[bytes]], None], ...] = (
    *(flip_bits, change_bytes, truncate, lose_the_start, cut_out, repeat, insert_bytes),
    *(write_length, write_length, write_word, splice, swap, random_bytes),
)


def mutated(seed: int, number: int, seeds: Sequence[bytes]) -> bytes:
    """Input ``number`` of the sequence that ``seed`` gives: one of ``seeds`` after one to three mutations."""
    random = np.random.default_rng([seed, number])
    data = bytearray(seeds[int(random.integers(len(seeds)))])
    for _ in range(1 + int(random.integers(3))):
        MUTATIONS[int(random.integers(len(MUTATIONS)))](random, data, seeds)
    return bytes(data[:LONGEST])
