"""Several regularizers as one; none of them as the neutral element."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models import ModelPair
from ganneal.regularizers.protocol import Context, GeneratorContext, Regularizer, RegularizerState

AnyContext = TypeVar("AnyContext", Context, GeneratorContext)


def _total(terms: Iterable[Tensor | None]) -> Tensor | None:
    # None and not 0 where nothing is due: the engine then builds no graph for it. The generator passed in is read to
    # its end, so every term moves its state.
    due = [term for term in terms if term is not None]
    return sum(due[1:], due[0]) if due else None


def _own(context: AnyContext, index: int) -> AnyContext:
    """``context`` with the network of part ``index`` alone."""
    if not isinstance(context.network, nn.ModuleDict):
        return context
    # A part sees its own network under the name it would have alone.
    own = context.network[str(index)] if str(index) in context.network else None
    return replace(context, network=own)


@dataclass(frozen=True)
class Sum(Regularizer):
    """All of ``terms``, each with its own state and network; without terms, no regularization."""

    terms: tuple[Regularizer, ...] = ()

    @property
    def per_sample_gradients(self) -> bool:
        return any(term.per_sample_gradients for term in self.terms)

    @property
    def on_lines(self) -> bool:
        return any(term.on_lines for term in self.terms)

    @property
    def needs_latents(self) -> bool:
        return any(term.needs_latents for term in self.terms)

    @property
    def needs_generator_updates(self) -> bool:
        return any(term.needs_generator_updates for term in self.terms)

    @property
    def has_terms(self) -> bool:
        return any(term.has_terms for term in self.terms)

    def build(self, pair: ModelPair) -> nn.Module | None:
        # Positions as keys: two terms of one class keep apart, and the order of terms is part of what a run resumes.
        built = {str(index): term.build(pair) for index, term in enumerate(self.terms)}
        networks = {index: network for index, network in built.items() if network is not None}
        return nn.ModuleDict(networks) if networks else None

    def init_state(self) -> RegularizerState:
        return {str(index): term.init_state() for index, term in enumerate(self.terms)}

    def discriminator_term(self, context: Context, state: RegularizerState) -> Float[Tensor, ""] | None:
        return _total(t.discriminator_term(_own(context, i), state[str(i)]) for i, t in enumerate(self.terms))

    def generator_term(self, context: GeneratorContext, state: RegularizerState) -> Float[Tensor, ""] | None:
        return _total(t.generator_term(_own(context, i), state[str(i)]) for i, t in enumerate(self.terms))

    def constrain(self, discriminator: nn.Module) -> None:
        for term in self.terms:
            term.constrain(discriminator)
