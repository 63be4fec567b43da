"""The diagram and the table of order states in docs/reliability.md are drawn from the code, and never by hand.

After a change of `core.orders.TRANSITIONS`, write them anew with UPDATE_DOCS=1.
"""

import os
import re
from pathlib import Path

from core.orders import TERMINAL, TRANSITIONS, Event, Status

DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"
DRAWN = re.compile(r"(<!-- drawn from core/orders\.py -->\n).*?(<!-- end -->)", re.DOTALL)


def diagram() -> str:
    """Draw the states as mermaid: one arrow per pair of states, with the events that lead along it."""
    arrows: dict[tuple[Status, Status], list[Event]] = {}
    for status, row in TRANSITIONS.items():
        for event, then in row.items():
            if then is not status:
                arrows.setdefault((status, then), []).append(event)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> PENDING: committed"]
    lines += [f"    {a.value} --> {b.value}: {', '.join(events)}" for (a, b), events in arrows.items()]
    return "\n".join([*lines, "```"])


def table() -> str:
    """Write the table as Markdown: what is known of an order, across; what is heard of it, down."""
    lines = [
        "| heard | " + " | ".join(status.value for status in Status) + " |",
        "|---" * (len(Status) + 1) + "|",
    ]
    for event in Event:
        cells = [TRANSITIONS[status].get(event, status) for status in Status]
        told = ["·" if then is status else then.value for then, status in zip(cells, Status, strict=True)]
        lines.append(f"| {event.value} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def test_the_documents_diagram_is_the_code() -> None:
    """What a reader of the document sees is what an order does."""
    text = DOCUMENT.read_text()
    drawn = f"{diagram()}\n\n{table()}\n"
    expected = DRAWN.sub(lambda found: f"{found[1]}{drawn}{found[2]}", text)
    if os.environ.get("UPDATE_DOCS"):
        DOCUMENT.write_text(expected)
    assert DRAWN.search(text), "the marks between which the diagram stands are gone"
    assert DOCUMENT.read_text() == expected


def test_nothing_but_late_news_leads_out_of_an_end() -> None:
    """An order that is over is left only by what happened before it was believed over."""
    late = {Event.COMPLETED, Event.SEEN_OPEN}
    for status in TERMINAL:
        assert set(TRANSITIONS[status]) <= late
