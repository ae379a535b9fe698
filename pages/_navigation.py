"""Every page's frame: language, title, navigation."""

from pathlib import Path

import streamlit as st

from sparsecore.dashboard import classroom
from sparsecore.dashboard.controls import ran_to_its_end, say, told_store, turn_to
from sparsecore.dashboard.style_words import style_words
from sparsecore.runs.store.database import StoreError
from sparsecore.words import LANGUAGES, TAGS, best_language

PAGES = Path(__file__).parent
ASSETS = PAGES.parent / "assets"

if "lang" not in st.session_state:
    asked = st.query_params.get("lang")
    st.session_state["lang"] = asked if asked in LANGUAGES else best_language(st.context.locale)

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
    told = TAGS[st.session_state["lang"]]
    st.html(f"<script>document.documentElement.lang = '{told}'</script>", unsafe_allow_javascript=True)
    style_words(":root", {f"offline-{part}": say(f"offline.{part}") for part in ("title", "what")})

page = st.navigation(
    [
        st.Page(PAGES / "lab.py", title=say("page.lab"), icon=":material/science:", default=True),
        st.Page(PAGES / "sweep.py", title=say("page.sweep"), icon=":material/grid_on:", url_path="sweep"),
        st.Page(PAGES / "paper.py", title=say("page.paper"), icon=":material/article:", url_path="paper"),
        st.Page(PAGES / "theory.py", title=say("page.theory"), icon=":material/function:", url_path="theory"),
        st.Page(
            PAGES / "lessons.py", title=say("page.lessons"), icon=":material/school:", url_path="lessons"
        ),
        st.Page(
            PAGES / "challenge.py",
            title=say("page.challenge"),
            icon=":material/trophy:",
            url_path="challenge",
        ),
        st.Page(PAGES / "runs.py", title=say("page.runs"), icon=":material/list:", url_path="runs"),
        st.Page(
            PAGES / "compare.py", title=say("page.compare"), icon=":material/compare:", url_path="compare"
        ),
        st.Page(PAGES / "data.py", title=say("page.data"), icon=":material/database:", url_path="data"),
    ],
    position="hidden" if classroom.asked(classroom.HIDDEN) else "top",
)
st.set_page_config(page_title=f"{page.title} · sparsecore")
turn_to(page.url_path)
classroom.dress()
try:
    page.run()
    ran_to_its_end()
except StoreError as error:
    st.error(told_store(error), icon=":material/database_off:")
