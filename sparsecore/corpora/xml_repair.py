"""Repair real-world XML as it streams: escape stray `<` and `&`."""

import io
import re

from sparsecore.corpora.encoding import Utf8Stream
from sparsecore.corpora.grades import VOCABULARY

FIELDS = VOCABULARY["xml"]["fields"]
OPENING = re.compile(rf"<({'|'.join(map(re.escape, FIELDS))})(?:\s[^<>]*)?(?<!/)>")
CLOSING = {field: re.compile(rf"</{re.escape(field)}\s*>|<!\[CDATA\[") for field in FIELDS}
CDATA, CDATA_END = "<![CDATA[", "]]>"

DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
REFERENCE = re.compile(r"&#(?:([0-9]+)|x([0-9A-Fa-f]+));")
# Between fields, a "less than" sign or an address such as <name@host> is no tag.
STRAY = re.compile(r"<(?![/!?A-Za-z_])|<(?=[^\s<>/!?\"']*@)")
# XML 1.0 forbids these characters.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

# The longest tag, or entity, that may be split between two chunks.
HELD_BACK = 2**12
LONGEST_ENTITY = 12


class RepairedXml(Utf8Stream):
    """The bytes of an XML text without its declaration, in which the text of fields is escaped.

    Escaped text stays unchanged, CDATA is escaped, and a reference to a character forbidden in XML becomes
    U+FFFD. Text between fields is repaired where no tag can be meant, and otherwise left to the parser.

    >>> text = "<entry><name>a < b & c &lt; <d@e.org></name><refs/></entry>"
    >>> RepairedXml(io.StringIO(text)).read().decode()
    '<entry><name>a &lt; b &amp; c &lt; &lt;d@e.org&gt;</name><refs/></entry>'
    """

    def __init__(self, text: io.TextIOBase) -> None:
        super().__init__(text)
        self._pending = ""
        self._field = ""
        self._cdata = False
        self._started = False

    def transform(self, chunk: str, last: bool) -> str:
        self._pending += chunk
        if not self._started:
            if len(self._pending) < HELD_BACK and not last:
                return ""
            self._started = True
            self._pending = DECLARATION.sub("", self._pending, count=1)
        done: list[str] = []
        at = 0
        while True:
            before = at
            at = self._step(at, last, done)
            if at == before or at == len(self._pending):
                break
        self._pending = self._pending[at:]
        return FORBIDDEN.sub(" ", "".join(done))

    def _step(self, at: int, last: bool, done: list[str]) -> int:
        """Repair up to the next change of state, or as far as is safe; return the new position."""
        if self._cdata:
            return self._through_cdata(at, last, done)
        if self._field:
            return self._through_field(at, last, done)
        text = self._pending
        found = OPENING.search(text, at)
        end = found.end() if found else self._safe(at, last)
        done.append(STRAY.sub("&lt;", AMPERSAND.sub("&amp;", text[at:end])))
        self._field = found[1] if found else ""
        return end

    def _through_field(self, at: int, last: bool, done: list[str]) -> int:
        found = CLOSING[self._field].search(self._pending, at)
        end = found.start() if found else self._safe(at, last)
        done.append(_escaped(self._pending[at:end]))
        if not found:
            return end
        if found[0] == CDATA:
            self._cdata = True
        else:
            done.append(found[0])
            self._field = ""
        return found.end()

    def _through_cdata(self, at: int, last: bool, done: list[str]) -> int:
        found = self._pending.find(CDATA_END, at)
        end = found if found >= 0 else len(self._pending) - (0 if last else len(CDATA_END))
        end = max(end, at)
        done.append(_escaped(self._pending[at:end].replace("&", "&amp;")))
        if found < 0:
            return end
        self._cdata = False
        return found + len(CDATA_END)

    def _safe(self, at: int, last: bool) -> int:
        """Return how far the pending text can be emitted without splitting a tag or an entity."""
        text = self._pending
        if last:
            return len(text)
        end = len(text)
        tag = text.rfind("<", max(at, end - HELD_BACK))
        if tag >= 0 and ">" not in text[tag:]:
            end = tag
        entity = text.rfind("&", max(at, end - LONGEST_ENTITY), end)
        return entity if entity >= 0 and ";" not in text[entity:end] else end


def _escaped(text: str) -> str:
    text = AMPERSAND.sub("&amp;", text)
    if "&#" in text:
        text = REFERENCE.sub(_reference, text)
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _reference(found: re.Match[str]) -> str:
    code = int(found[1]) if found[1] else int(found[2], 16)
    allowed = (
        code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    )
    return found[0] if allowed else "\N{REPLACEMENT CHARACTER}"
