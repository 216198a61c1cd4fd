"""Draws that two results share: repeated from the place where they began, and then as if they had not been."""

import torch
from torch import Tensor

from ganneal.regularizers.shared_draws import Draws, Shared


def test_draws_are_repeated_from_their_place_and_the_generators_go_on_after() -> None:
    first, second = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    draws = Draws(first, second)
    drawn = [torch.rand(3, generator=random) for random in (first, second)]
    with draws.repeated():
        again = [torch.rand(2, generator=random) for random in (first, second)]  # fewer than were drawn before
    after = [torch.rand(2, generator=random) for random in (first, second)]
    assert all(torch.equal(one[:2], other) for one, other in zip(drawn, again, strict=True))
    whole = [torch.rand(5, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    for one, other, all_of_it in zip(drawn, after, whole, strict=True):
        assert torch.equal(torch.cat([one, other]), all_of_it)


def test_every_call_of_a_shared_function_has_the_draws_of_the_first() -> None:
    random = torch.Generator().manual_seed(0)

    def noisy(x: Tensor) -> Tensor:
        return x + torch.rand(3, generator=random)

    shared = Shared(noisy, random)
    one, two = shared(torch.zeros(3)), shared(torch.ones(3))
    torch.testing.assert_close(two, one + 1)
    following = torch.rand(3, generator=random)
    assert not torch.equal(following, one)  # the second call drew nothing new, the next draw is one
    expected = torch.rand(6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat([one, following]), expected)
