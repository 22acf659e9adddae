"""What tells the figures of one source from those of another, wherever they are kept or shown."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.carbon.series import CarbonSeries, CarbonSource


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """Whose figures, of where, and what they are: figures of two identities are never mixed.

    `variant` is empty for a source as everybody has it. One that is asked at another address, or for other slots,
    tells other figures under the same name, and has a short text here; see `controlplane.feeds.variant_of`.
    """

    source: str
    zone: str
    kind: str
    basis: str
    variant: str = ""

    @classmethod
    def of(cls, figures: CarbonSource | CarbonSeries, variant: str = "") -> Identity:
        """That of a source, or of a series it gave."""
        source = figures.source if isinstance(figures, CarbonSeries) else figures.name
        return cls(source, figures.zone, figures.kind, figures.basis, variant)

    def name(self, separator: str) -> str:
        """All of it in one text, such as gb/GB/average/generation."""
        parts = (self.source, self.zone, self.kind, self.basis, *([self.variant] if self.variant else []))
        return separator.join(parts)
