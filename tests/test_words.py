"""Both languages say the same things."""

import re
from pathlib import Path

import pytest

from sparsecore.engine.config import every_parameter
from sparsecore.settings import ASSETS
from sparsecore.words import LANGUAGES, best_language, words

ROOT = Path(__file__).parents[1]


def test_both_languages_have_the_same_keys():
    assert words("en").keys() == words("zh").keys()


def test_a_language_we_do_not_speak_is_an_error():
    with pytest.raises(KeyError, match="fr"):
        words("fr")


def test_every_parameter_and_choice_has_its_words():
    for parameter in every_parameter().values():
        assert {parameter.label_key, parameter.help_key} <= words("en").keys()
        assert {parameter.choice_key(choice) for choice in parameter.choices} <= words("en").keys()


def test_every_key_that_a_live_view_says_exists():
    for script in (ASSETS / "views").rglob("*.js"):
        said = re.findall(r'say\("([\w.]+)"', script.read_text(encoding="utf-8"))
        assert set(said) <= words("en").keys(), script


def test_every_key_that_a_page_says_exists():
    for page in [*(ROOT / "pages").glob("*.py"), *(ROOT / "sparsecore" / "dashboard").rglob("*.py")]:
        said = re.findall(r'\bsay\("([\w.]+)"', page.read_text(encoding="utf-8"))
        assert set(said) <= words("en").keys(), page


def test_every_uploader_says_the_words_of_the_page():
    sources = [*(ROOT / "pages").glob("*.py"), *(ROOT / "sparsecore" / "dashboard").rglob("*.py")]
    asking = [file.name for file in sources if "st.file_uploader(" in file.read_text(encoding="utf-8")]
    assert asking == ["widgets.py"]  # Streamlit's own words are hidden: assets/page.css


def test_values_in_a_sentence_have_the_same_names_in_both_languages():
    for key, text in words("en").items():
        if key.startswith("corpus."):
            continue  # English repeats the reader's own sentence
        assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", words("zh")[key])), key


@pytest.mark.parametrize(
    ("locale", "language"), [("zh-Hans-CN", "zh"), ("ZH", "zh"), ("en", "en"), (None, "en")]
)
def test_the_browsers_locale_chooses_the_language(locale, language):
    assert best_language(locale) == language
    assert language in LANGUAGES
