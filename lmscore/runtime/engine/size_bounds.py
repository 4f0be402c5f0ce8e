"""Upper bounds of sizes in a graph, as polynomials in the sizes of a run.

Letters: B batch, T time (tokens), K targets per position, S rows of the incoming state. Every
letter stands for a size of 1 or more, so a bound of "K" holds for K = 0, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_LONGEST = 10**15  # of a number in a message
_LARGEST_TERM = "BKT"  # letters of arrays that grow with a run; the state alone has S


@dataclass(frozen=True)
class Bound:
    """An upper bound: a sum of products of letters, such as 3*B*T + 7, never negative."""

    terms: Mapping[str, int]  # the factor of each product of letters, sorted; "" without a letter

    @classmethod
    def of(cls, size: int | str) -> Bound:
        """A number, or a letter."""
        return cls({size: 1} if isinstance(size, str) else {"": size})

    def __add__(self, other: Bound) -> Bound:
        return Bound(
            {
                term: self.terms.get(term, 0) + other.terms.get(term, 0)
                for term in {**self.terms, **other.terms}
            }
        )

    def __mul__(self, other: Bound) -> Bound:
        product = Bound({})
        for term, factor in self.terms.items():
            product += Bound(
                {"".join(sorted(term + more)): factor * by for more, by in other.terms.items()}
            )
        return product

    def or_larger(self, other: Bound) -> Bound:
        """A bound of the larger of two sizes."""
        return Bound(
            {
                term: max(self.terms.get(term, 0), other.terms.get(term, 0))
                for term in {**self.terms, **other.terms}
            }
        )

    def divided(self, number: int) -> Bound:
        """A bound of a size that is a part of this one: one of `number`, rounded up."""
        return Bound({term: -(-factor // max(number, 1)) for term, factor in self.terms.items()})

    def without(self, number: int) -> Bound:
        """A bound of what is left after a number is taken away, if the bound shows that number."""
        left = self.terms.get("", 0) - number
        return self if left < 0 else Bound({**self.terms, "": left})

    def covers(self, other: Bound) -> bool:
        """Whether this bound is nowhere below another one."""
        return all(self.terms.get(term, 0) >= factor for term, factor in other.terms.items())

    @property
    def number(self) -> int | None:
        """The bound as a number, None if it grows with the run."""
        return self.terms.get("", 0) if all(not t or not f for t, f in self.terms.items()) else None

    @property
    def factors(self) -> int:
        """The sum of the factors: how often the largest product of letters is there at most."""
        return sum(self.terms.values())

    @property
    def grows_as_a_run(self) -> bool:
        """Whether it grows as B * T * K at most, or as S alone."""
        return all(
            term == "S" or (set(term) <= set(_LARGEST_TERM) and len(set(term)) == len(term))
            for term, factor in self.terms.items()
            if factor
        )

    def __str__(self) -> str:
        words = [
            "*".join([*([_digits(factor)] if factor > 1 or not term else []), *term])
            for term, factor in sorted(self.terms.items(), reverse=True)
            if factor
        ]
        return " + ".join(words) or "0"


def _digits(number: int) -> str:
    return str(number) if number < _LONGEST else f"(more than {_LONGEST})"


Shape = tuple[Bound, ...]
"""An upper bound of each size of an array."""


def elements(sizes: Iterable[Bound]) -> Bound:
    """A bound of the number of elements of an array of these sizes."""
    product = Bound.of(1)
    for size in sizes:
        product *= size
    return product


def shape_of(sizes: Iterable[int | str]) -> Shape:
    """The bounds of sizes that are numbers or letters."""
    return tuple(map(Bound.of, sizes))
