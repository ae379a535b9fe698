"""Help: the documents of `assets/docs`, which GitHub shows too."""

import streamlit as st

from sparsecore.dashboard import documents
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.widgets import page_header

ICON = ":material/help:"
ORDER = 100

st.html(documents.FOLDER / "help.css")
page_header(say("page.help"))

language = st.session_state["lang"]
if language != "en":
    st.caption(say("help.language"))
name = st.query_params.get(documents.QUERY, documents.INDEX)
if name not in documents.names():
    st.info(say("help.missing", name=plain(name)), icon=":material/help:")
    name = documents.INDEX
others = {key: value for key, value in st.query_params.items() if key != documents.QUERY} | {"lang": language}
st.html(documents.page(name, others, say), unsafe_allow_javascript=True)
