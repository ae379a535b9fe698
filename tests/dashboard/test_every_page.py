"""Every page in both languages, as it is written: no raw key, and one language at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from google.protobuf.message import Message
from streamlit.proto.Block_pb2 import Block
from streamlit.testing.v1 import AppTest

from sparsecore.corpora.corpus import GRADES
from sparsecore.dashboard import session
from sparsecore.dashboard.pages import Page, pages
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker
from sparsecore.words import LANGUAGES, words
from tests.dashboard.opening import opened

QUERIES = {  # of a page's address, besides none
    "lab": [{"task": "spirals", "method": "dense"}],  # texts link to a page, which a page alone cannot
    "help": [{"doc": "texts"}, {"doc": "contributing"}],
    "theory": [{"n": "50"}],
    "lessons": [{"lesson": "hard-threshold"}, {"lesson": "collapse"}],
}
# Fields of Streamlit's messages that a reader does not see, or that hold data.
UNSEEN = {"id", "key", "form_id", "icon", "url", "spec", "config", "json", "js_content", "css_content"}
# A text to learn from is in a `bdi`, in whatever language. The documents of Help are in English.
NOT_WORDS = re.compile(
    r"<style>.*?</style>|<bdi>.*?</bdi>|<section [^>]*lang=.en.>.*</section>|<[^>]+>|\$[^$]*\$|`[^`]*`|"
    r":material/\w+:|https?://\S+",
    re.DOTALL,
)
CHINESE = re.compile(r"[一-鿿]+")
MEANT = re.compile("|".join(("中文", *GRADES)))  # the texts' labels stand beside their English names
SENTENCE = re.compile(r"[A-Za-z]{2,}(?:,? [a-z]{2,}){3,}")  # four English words in a row: more than a term


@pytest.fixture
def served(store: Store) -> Iterator[Store]:
    """The pages' store is this test's, with a run that has ended."""
    session.the_store.cache_clear()
    run = store.create(RunConfig(max_steps=20), worker="test")
    Worker(store, store.get(run), "test").work()
    yield store
    session.the_store.cache_clear()


def shown(app: AppTest) -> list[str]:
    """Every text that a page sends to the browser, without markup, formulas and code."""
    texts = [text for node in app.main for text in strings(proto(node))]
    return [NOT_WORDS.sub(" ", text) for text in texts]


def proto(node) -> Message:
    """What the browser is sent of an element or a container; some containers hide it."""
    return getattr(node, "proto", None) or Block()


def strings(message: Message) -> Iterator[str]:
    """Every text of a message that a reader may see, however deep."""
    for field, value in message.ListFields():
        if field.name in UNSEEN:
            continue
        for each in value if field.is_repeated else [value]:
            if isinstance(each, Message):
                yield from strings(each)
            elif isinstance(each, str):
                yield each


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_page_shows_a_raw_key_or_another_language(served: Store, page: Page, lang: str):
    keys = {key for key in words(lang) if "." in key}
    for query in ({}, *QUERIES.get(page.name, ())):
        texts = shown(opened(page.file.name, lang, **query))
        assert texts
        for text in texts:
            assert not keys & set(re.findall(r"\w+(?:\.\w+)+", text)), text
            other = CHINESE if lang == "en" else SENTENCE
            assert not other.search(MEANT.sub("", text)), text
