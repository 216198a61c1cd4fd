"""A stream of random numbers of its own for each use, and torch's unnamed draws lent to one of them."""

import torch

from ganneal.randomness import RANDOM_STREAMS, derive_seed, random_stream, unnamed_draws


def test_every_name_and_every_seed_has_a_stream_of_its_own() -> None:
    seeds = [derive_seed(seed, name) for seed in (0, 1, 2**40) for name in (*RANDOM_STREAMS, "data")]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(1, "data") == derive_seed(1, "data")


def test_unnamed_draws_come_from_the_stream_and_leave_the_world_as_it_was() -> None:
    torch.manual_seed(5)
    outside = torch.get_rng_state()
    stream, expected = random_stream(0, "players"), torch.rand(6, generator=random_stream(0, "players"))
    with unnamed_draws(stream):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), outside)
    with unnamed_draws(stream):  # goes on where the first one ended
        second = torch.rand(3)
    assert torch.equal(torch.cat([first, second]), expected)
