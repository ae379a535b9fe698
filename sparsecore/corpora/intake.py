"""What a person says about a file, and what is learned about it while it is read."""

from dataclasses import dataclass, field

from sparsecore.corpora.source import Meter


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
