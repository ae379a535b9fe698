"""Texts with severity grades: read from a file, generated, kept on a shelf, cut into tokens."""

from sparsecore.corpora.catalogue import Kept, add, find, kept, named, remove
from sparsecore.corpora.corpus import GRADES, SKIP_REASONS, Corpus, CorpusError
from sparsecore.corpora.inspection import Inspection, inspect
from sparsecore.corpora.reading import read_corpus

__all__ = [
    "GRADES",
    "SKIP_REASONS",
    "Corpus",
    "CorpusError",
    "Inspection",
    "Kept",
    "add",
    "find",
    "inspect",
    "kept",
    "named",
    "read_corpus",
    "remove",
]
