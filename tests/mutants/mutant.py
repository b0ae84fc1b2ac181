"""Mutant: the package with one mistake put in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ("Mutant",)


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        name: In short.
        breaks: What goes wrong, in words.
        file: Where, from the package's folder on.
        old: The text that stands there, exactly once.
        new: The text in its place.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str

    def text(self, package: Path) -> str:
        """The file with the mistake.

        Raises:
            ValueError: The package has changed, and the old text is not there exactly once.
        """
        text = (package / self.file).read_text(encoding="utf-8")
        if (found := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: the old text stands {found} times in {self.file}, not once")
        return text.replace(self.old, self.new)

    def apply(self, package: Path) -> None:
        """Put the mistake into a copy of the package."""
        mistaken = self.text(package)
        (package / self.file).write_text(mistaken, encoding="utf-8")
