"""What the pages look like beyond Streamlit's own theme (dashboards/.streamlit/config.toml)."""

from __future__ import annotations

import streamlit as st

from forecaster_dashboards import language

# Drawn here: a named icon would be fetched from elsewhere.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M4 10 L14 14 L28 4 V28 L14 18 L4 12 Z" '
    'fill="#1c5fa8" opacity="0.45"/><path d="M4 11 L14 16 L28 15" fill="none" stroke="#1c5fa8" stroke-width="3"/></svg>'
)

_STYLE = """<style>
:root {{--paper: {paper}; --ink: {ink}; --soft: {soft}; --faint: {faint}; --today: {today}; --reform: {reform};}}
.below {{position: relative;}}
.note {{margin: 0; font-size: 0.875rem; line-height: 1.45; color: var(--faint);}}
.cards {{display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0.8rem; margin-top: 0.7rem;}}
.card {{border: 1px solid var(--soft); border-top: 3px solid var(--reform); border-radius: 0.4rem;
  padding: 0.6rem 0.9rem; color: var(--ink); font-size: 0.95rem;}}
.card.today {{border-top-color: var(--today);}}
.card p {{margin: 0.4rem 0 0;}}
.unseen {{position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;}}
[data-testid="stElementContainer"]:has(.unseen:only-child), [data-testid="stElementContainer"]:has(style:only-child)
  {{position: absolute; width: 1px; height: 1px; overflow: hidden;}}
.block-container {{padding-top: 3.5rem; padding-bottom: 2rem; max-width: 1400px;}}
.law-mark {{color: var(--today);}}
.st-key-header h1 {{padding: 0;}}
.st-key-panel [data-testid="stSlider"] {{padding-bottom: 0;}}
.meter {{width: 100%; border-collapse: collapse; font-size: 0.95rem; color: var(--ink);}}
.meter th, .meter td {{padding: 0.15rem 0.6rem 0.15rem 0; text-align: left; font-weight: 400; border: 0;}}
.meter caption {{text-align: left; font-weight: 600; padding-bottom: 0.3rem; caption-side: top;}}
.meter .bar {{display: inline-block; width: min(9rem, 22vw); height: 0.65rem; background: var(--soft);
  border-radius: 0.35rem; overflow: hidden; vertical-align: middle; margin-right: 0.5rem;}}
.meter .bar i {{display: block; height: 100%;}}
.meter b {{font-size: 1.15rem; font-variant-numeric: tabular-nums;}}
.sheet {{overflow-x: auto;}}
.sheet table {{width: 100%; border-collapse: collapse; font-size: 0.9rem; line-height: 1.4; color: var(--ink);}}
.sheet caption {{text-align: left; font-weight: 600; padding-bottom: 0.3rem; caption-side: top; color: var(--ink);}}
.sheet th, .sheet td {{padding: 0.3rem 0.8rem 0.3rem 0; text-align: left; vertical-align: top; font-weight: 400;
  border: 0; border-bottom: 1px solid var(--soft); overflow-wrap: anywhere;}}
.sheet thead th {{color: var(--faint); vertical-align: bottom; border-bottom: 2px solid var(--soft);}}
.sheet .figure {{text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;}}
.strip b {{font-size: 1.15rem; font-variant-numeric: tabular-nums;}}
.strip .today {{color: var(--today);}}
.strip .reform {{color: var(--reform);}}
@media (max-width: 640px) {{
  [data-testid="stElementContainer"]:has(.strip) {{position: sticky; top: 3.4rem; z-index: 5;
    background: var(--paper); padding-bottom: 0.3rem;}}
  .block-container {{padding-left: 1rem; padding-right: 1rem;}}
  h1 {{font-size: 1.7rem !important;}}
  /* The general rate stays in sight above the charts: what wraps it gives up its own box, so it sticks to the page. */
  .st-key-body > div > [data-testid="stHorizontalBlock"] :has(.st-key-general) {{display: contents;}}
  .st-key-panel > *, .st-key-general {{flex: 1 1 100%; max-width: 100%;}}
  .st-key-general {{position: sticky; top: 3.4rem; z-index: 5; background: var(--paper); padding-bottom: 0.4rem;}}
}}
@media screen and (min-width: 641px) {{
  /* What the levers do stays in sight beside them, however far down a lever stands. */
  [data-testid="stElementContainer"]:has(.strip) {{display: none;}}
  [data-testid="stColumn"]:has(.st-key-outcome) > div {{height: 100%;}}
  [data-testid="stLayoutWrapper"]:has(> .st-key-outcome) {{position: sticky; top: 4.2rem;
    max-height: calc(100vh - 5rem); overflow-y: auto;}}
}}
@media (min-width: 641px) {{
  [data-testid="stColumn"]:has(.st-key-panel) > div {{height: 100%;}}
  [data-testid="stLayoutWrapper"]:has(> .st-key-panel) {{position: sticky; top: 4.2rem;}}
}}
@media print {{
  /* Colours carry the two scenarios, and a dark page stays dark, or its light letters would vanish. */
  * {{print-color-adjust: exact; -webkit-print-color-adjust: exact;}}
  header, .st-key-panel, [data-testid="stColumn"]:has(> div .st-key-panel), [data-testid="stToolbar"],
  [data-testid="stExpander"], [data-testid="stButtonGroup"], .strip,
  .stDownloadButton, .stButton {{display: none !important;}}
  [data-testid="stApp"], [data-testid="stAppViewContainer"], [data-testid="stMain"]
    {{position: static !important; height: auto !important; overflow: visible !important;}}
  .block-container {{padding: 0; max-width: none;}}
  [data-testid="stVegaLiteChart"], .card, .meter, .sheet tr {{break-inside: avoid;}}
}}
</style>"""
LIGHT = {
    "paper": "#ffffff",
    "ink": "#31333f",
    "soft": "#e6e8ee",
    "faint": "#5d6270",
    "today": "#b4470b",
    "reform": "#1c5fa8",
}
DARK = {
    "paper": "#12161d",
    "ink": "#e8eaf0",
    "soft": "#2c3340",
    "faint": "#a9afbd",
    "today": "#f2a25c",
    "reform": "#7fb6f2",
}


def dress(spoken: str) -> None:
    """Style sheet of the reader's theme, and the page's language told to the browser.

    The script is one fixed line with a tag from a fixed list; nothing that a reader has written enters it.
    """
    colours = DARK if st.context.theme.type == "dark" else LIGHT
    st.html(_STYLE.format(**colours))
    tag = language.TAGS[spoken]
    st.html(f"<script>document.documentElement.lang = '{tag}';</script>", unsafe_allow_javascript=True)
