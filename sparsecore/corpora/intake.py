"""What a person says about a file, and what is learned about it while it is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

from sparsecore.corpora.source import Meter

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]


class Asked(TypedDict, total=False):
    """What every reader of a file takes beside its path; whatever is left out is nothing.

    The columns of a table are found by name or content unless they are given. `progress` is told the bytes
    read and their total; reading stops, with CorpusError `cancelled`, once `cancelled()` is true.
    """

    text_column: str | None
    label_column: str | None
    progress: Progress | None
    cancelled: Cancelled | None


@dataclass
class Intake:
    """One reading of a file: its columns, if it is a table and they were given, and the formats met in it."""

    meter: Meter
    text_column: str | None = None
    label_column: str | None = None
    formats: list[str] = field(default_factory=list)

    def saw(self, name: str) -> None:
        """Tell that a record of this format has been met."""
        if name not in self.formats:
            self.formats.append(name)

    @property
    def format(self) -> str:
        """All formats met, as one name."""
        return " + ".join(self.formats)
