"""Several regularizers as one; none of them as the neutral element."""

from collections.abc import Iterable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ganneal.regularizers.protocol import Context, GeneratorContext, Regularizer, State


def _total(terms: Iterable[Tensor | None]) -> Tensor | None:
    due = [term for term in terms if term is not None]
    return sum(due[1:], due[0]) if due else None


@dataclass(frozen=True)
class Sum:
    """All of ``terms``, each with its own state; without terms, no regularization."""

    terms: tuple[Regularizer, ...] = ()

    @property
    def per_sample_gradients(self) -> bool:
        return any(term.per_sample_gradients for term in self.terms)

    @property
    def on_lines(self) -> bool:
        return any(term.on_lines for term in self.terms)

    def init_state(self) -> State:
        return {str(index): term.init_state() for index, term in enumerate(self.terms)}

    def discriminator_term(self, context: Context, state: State) -> Float[Tensor, ""] | None:
        return _total(term.discriminator_term(context, state[str(i)]) for i, term in enumerate(self.terms))

    def generator_term(self, context: GeneratorContext, state: State) -> Float[Tensor, ""] | None:
        return _total(term.generator_term(context, state[str(i)]) for i, term in enumerate(self.terms))

    def constrain(self, discriminator: nn.Module) -> None:
        for term in self.terms:
            term.constrain(discriminator)
