"""Texts with severity grades: read from a file, generated, kept on a shelf, cut into tokens."""

from sparsecore.corpora.corpus import GRADES, SKIP_REASONS, Corpus, CorpusError
from sparsecore.corpora.reading import read_corpus

__all__ = ["GRADES", "SKIP_REASONS", "Corpus", "CorpusError", "read_corpus"]
