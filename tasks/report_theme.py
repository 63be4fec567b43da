"""The colours of a report, light and dark, and the words for the states of a level.

One palette serves the page (as CSS variables), the interactive charts (as `@name` tokens, resolved in the browser when
the scheme changes) and the pictures. Text colours keep a contrast of at least 4.5 to 1 on the card (WCAG 2.1 AA).
Buy and sell are teal and vermilion, which stay apart for colour-blind readers, and differ in shape as well.
"""

LIGHT: dict[str, str] = {
    "page": "#f4f5f7",
    "card": "#ffffff",
    "sunken": "#f8f9fa",
    "line": "#e3e7eb",
    "grid": "#edf0f2",
    "ink": "#17202a",
    "muted": "#5c6875",
    "accent": "#2b63d1",
    "accent_soft": "#e8effc",
    "buy": "#0a7d6c",
    "sell": "#c4432f",
    "up": "#86b9ae",
    "down": "#d8a399",
    "good": "#0a7d6c",
    "bad": "#b93a2b",
    "bad_soft": "#f3d5cf",
    "working": "#2b63d1",
    "holding": "#b7790a",
    "idle": "#9aa4af",
    "complete": "#c4cbd2",
    "hold": "#8b96a2",
    "warn": "#8a5a00",
    "warn_soft": "#fdf1d7",
    "synthetic": "#8f2a86",
    "synthetic_soft": "#fbe6f8",
}

DARK: dict[str, str] = {
    "page": "#0d1117",
    "card": "#151b23",
    "sunken": "#111720",
    "line": "#283240",
    "grid": "#1f2833",
    "ink": "#e8edf3",
    "muted": "#97a4b2",
    "accent": "#6ea2ff",
    "accent_soft": "#1a2a48",
    "buy": "#3ecfb2",
    "sell": "#ff8068",
    "up": "#397a6e",
    "down": "#8f4b41",
    "good": "#3ecfb2",
    "bad": "#ff8068",
    "bad_soft": "#4a2621",
    "working": "#6ea2ff",
    "holding": "#e5ac3f",
    "idle": "#5d6875",
    "complete": "#3a444f",
    "hold": "#76828f",
    "warn": "#f0c060",
    "warn_soft": "#33280f",
    "synthetic": "#f08be6",
    "synthetic_soft": "#3a1836",
}

# Every state that a level of a grid, a trade of a ladder or an order of an executor can be in, by what it means for the reader.
LEVEL_CLASSES: dict[str, str] = {
    "OPEN_ORDER_PLACED": "working",
    "OPEN_ORDER_FILLED": "holding",
    "CLOSE_ORDER_PLACED": "holding",
    "COMPLETE": "complete",
    "NOT_ACTIVE": "idle",
    "PLACED_ENTRY": "working",
    "FILLED_WAIT": "holding",
    "PLACED_EXIT": "holding",
    "COMPLETED": "complete",
    "PENDING_ENTRY": "idle",
    "FILLED": "complete",
}

LEVEL_WORDS: dict[str, str] = {
    "working": "working: entry rests at the venue",
    "holding": "holding: bought or sold, waits for its exit",
    "idle": "not working",
    "complete": "complete",
}

STATE_WORDS: dict[str, str] = {
    "OPEN_ORDER_PLACED": "entry resting",
    "OPEN_ORDER_FILLED": "holding, exit not placed",
    "CLOSE_ORDER_PLACED": "holding, exit resting",
    "COMPLETE": "complete",
    "NOT_ACTIVE": "not active",
    "PLACED_ENTRY": "entry resting",
    "FILLED_WAIT": "holding, exit not placed",
    "PLACED_EXIT": "holding, exit resting",
    "COMPLETED": "complete",
    "PENDING_ENTRY": "entry not placed",
    "FILLED": "filled",
}


def level_class(state: str) -> str:
    """Return working, holding, complete or idle; a state of another machine counts as idle, so its reason is shown."""
    return LEVEL_CLASSES.get(state, "idle")


def css_variables() -> str:
    """Return the palettes as CSS custom properties: light, dark by the reader's preference, and light on paper."""
    light = _properties(LIGHT)
    dark = _properties(DARK)
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"@media print{{:root{{color-scheme:light;{light}}}}}"
    )


def _properties(palette: dict[str, str]) -> str:
    return "".join(f"--{name.replace('_', '-')}:{colour};" for name, colour in palette.items())
