"""Every page's frame: language, title, navigation."""

from pathlib import Path

import streamlit as st

from sparsecore.dashboard import classroom
from sparsecore.dashboard.controls import ran_to_its_end, say, store_sentence, turn_to
from sparsecore.dashboard.pages import pages
from sparsecore.dashboard.widgets import style_words
from sparsecore.runs.store.database import StoreError
from sparsecore.settings import ASSETS
from sparsecore.words import LANGUAGES, TAGS, best_language

if "lang" not in st.session_state:
    linked = st.query_params.get("lang")
    st.session_state["lang"] = linked if linked in LANGUAGES else best_language(st.context.locale)

st.set_page_config(
    page_title="sparsecore",
    page_icon=str(ASSETS / "icon.svg"),
    layout="wide",
    initial_sidebar_state="collapsed",
    menu_items={"About": say("about")},
)
st.logo(str(ASSETS / "logo.svg"), size="large")
st.html(ASSETS / "page.css")
with st.container(key="page_language"):  # takes no room: assets/page.css
    tag = TAGS[st.session_state["lang"]]
    script = f"document.documentElement.lang = '{tag}';\n{(ASSETS / 'page.js').read_text(encoding='utf-8')}"
    st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)
    style_words(":root", {f"offline-{part}": say(f"offline.{part}") for part in ("title", "what")})

page = st.navigation(
    [
        st.Page(
            each.file,
            title=say(f"page.{each.name}"),
            icon=each.icon,
            url_path=each.path or None,
            default=not each.path,
        )
        for each in pages(Path(__file__).parent)
    ],
    position="hidden" if classroom.is_requested(classroom.HIDDEN) else "top",
)
st.set_page_config(page_title=f"{page.title} · sparsecore")
turn_to(page.url_path)
classroom.dress()
try:
    page.run()
    ran_to_its_end()
except StoreError as error:
    st.error(store_sentence(error), icon=":material/database_off:")
