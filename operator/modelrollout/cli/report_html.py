"""A report as one HTML file: no script, nothing from elsewhere; for the dark, for paper, for screen readers too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from modelrollout import __version__
from modelrollout.cli.report_facts import Facts, SliFacts, labels, when
from modelrollout.cli.report_svg import ratios, shares, staircase

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root{color-scheme:light dark;--ink:#1f2937;--soft:#5b6472;--paper:#fff;--rule:#e5e7eb;--candidate:#c2410c;
--legacy:#1d4ed8;--bad:#b91c1c;--good:#047857;--tint:#f7f7f8}
@media(prefers-color-scheme:dark){:root{--ink:#e5e7eb;--soft:#a3adba;--paper:#14171c;--rule:#333a45;--candidate:#fb923c;
--legacy:#93b4fd;--bad:#fca5a5;--good:#6ee7b7;--tint:#1c2027}}
body{font:15px/1.5 system-ui,"Segoe UI",Helvetica,Arial,"Noto Sans","DejaVu Sans",sans-serif;color:var(--ink);
background:var(--paper);max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p.lead{font-size:1.05rem}.soft{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:.9rem}caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--rule);
white-space:nowrap}th[scope=row]{width:1%;padding-right:2rem}td.long{white-space:normal;min-width:11rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto}.FAIL,.RolledBack{color:var(--bad);font-weight:600}.PASS,.Promoted{color:var(--good);font-weight:600}
.revert{border-left:4px solid var(--bad);background:var(--tint);padding:.6rem 1rem}
figure{margin:.5rem 0}figcaption{color:var(--soft);font-size:.85rem}svg{width:100%;min-width:46rem;height:auto}
svg text{font-size:12px;fill:var(--ink)}svg .soft{fill:var(--soft);font-size:11px}svg .strong{font-weight:600}
svg .grid{stroke:var(--rule);fill:none}svg .mark{stroke:var(--soft);stroke-dasharray:4 3;fill:none}
svg .line{fill:none;stroke-width:2}svg .candidate{stroke:var(--candidate)}svg .legacy{stroke:var(--legacy)}
svg .bar.candidate,svg .dot{fill:var(--candidate)}svg .bar.legacy{fill:var(--legacy)}
svg .limit{stroke:var(--ink);stroke-dasharray:2 3;fill:none}svg .margin{stroke:var(--bad);stroke-width:2;fill:none}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}}
"""
LONG = 30
"""Characters from which on a cell may be broken into lines."""
TURNS = ("", "Time", "After", "Decision", "Candidate", "Reason", "Why")
SLIS = ("SLI", "Verdict", "Candidate bad", "Legacy bad", "Candidate to legacy", "Margin", "Odds", "Samples", "Burn")


def html(told: Facts) -> str:
    """The whole file."""
    parts = [
        f"<h1>{escape(told.headline)}</h1>",
        f'<p class="lead">{escape(told.message)}</p>' if told.message else "",
        _table("", (), told.facts, heads=True),
        *_incident(told),
        "<h2>Course</h2>",
        _figure(staircase(told), "The candidate's share of the traffic; numbers are those of the decisions below."),
        _decisions(told),
        "<h2>Evidence</h2>",
        *_evidence(told.slis),
        *(["<ul>", *(f"<li>{escape(text)}</li>" for text in told.said), "</ul>"] if told.said else []),
        *_section("Error budget", ("SLI", "Spent", "Allowed", "Share", "Gone in"), told.budget, "in bad events"),
        *_section("Steps", ("Step", "Candidate", "At least", "Approval"), told.steps),
        *_section("Revisions", ("Revision", "Outcome", "Began", "Ended", "Why"), told.history, "newest first"),
        *_section("Conditions", ("Condition", "Status", "Reason", "Message"), told.conditions),
        *(["<h2>Notes</h2><ul>", *(f"<li>{escape(note)}</li>" for note in told.notes), "</ul>"] if told.notes else []),
        f'<p class="soft">Made by modelrollout {escape(__version__)} from the object as stored; its numbers are those'
        " of the operator's last write.</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(told.headline)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(filter(None, parts))
        + "\n</main></body></html>\n"
    )


def _incident(told: Facts) -> Iterable[str]:
    revert = told.revert
    if revert is None:
        return
    yield "<h2>Incident</h2>"
    yield '<div class="revert">'
    yield f"<p><strong>{escape(revert.reason)}</strong> at {escape(revert.weight)} %: {escape(revert.message)}</p>"
    rows = (
        ("Decided", when(revert.opened)),
        ("All users on legacy", when(revert.closed)),
        ("That took", revert.lasted),
    )
    yield _table("", (), rows, heads=True)
    yield "</div>"


def _decisions(told: Facts) -> str:
    if not told.turns:
        return "<p>No decision has been taken for this revision.</p>"
    rows = [
        (str(number), when(turn.at), after, turn.action, _percent(turn.weight), turn.reason, turn.message)
        for number, (turn, after) in enumerate(zip(told.turns, labels(told.turns, told.began), strict=True), 1)
    ]
    return _table("Decisions; the operator remembers the newest twenty of all revisions", TURNS, rows)


def _evidence(slis: Sequence[SliFacts]) -> Iterable[str]:
    if not slis:
        yield "<p>Nothing has been judged yet.</p>"
        return
    yield _figure(shares(slis), "Bad events of both versions in the last step that was judged, and what is allowed.")
    yield _figure(
        ratios(slis),
        "Candidate's bad share in multiples of legacy's, with its 95 % interval; dotted: the same as legacy; red: the "
        "margin's ratio.",
    )
    rows = []
    for each in slis:
        cell = each.line
        rows.append(
            (
                *(cell.name, cell.verdict, cell.candidate, cell.legacy, cell.compared),
                *(cell.bound, cell.odds, cell.samples, cell.burn),
            )
        )
    yield _table("As last written", SLIS, rows)


def _section(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> list[str]:
    return [f"<h2>{escape(title)}</h2>", _table(caption, heads, rows)] if rows else []


def _table(caption: str, names: Sequence[str], rows: Sequence[Sequence[str]], *, heads: bool = False) -> str:
    """`heads`: the first cell of each row is its heading."""
    first = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = []
    for row in rows:
        cells = [_cell(cell, head=heads and index == 0) for index, cell in enumerate(row)]
        body.append(f"<tr>{''.join(cells)}</tr>")
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    top = f"<thead><tr>{first}</tr></thead>" if names else ""
    return f'<div class="scroll"><table>{told}{top}<tbody>{"".join(body)}</tbody></table></div>'


def _cell(text: str, *, head: bool) -> str:
    if head:
        return f'<th scope="row">{escape(text)}</th>'
    kind = "long" if len(text) > LONG else text if text in ("FAIL", "PASS", "RolledBack", "Promoted") else ""
    mark = f' class="{kind}"' if kind else ""
    return f"<td{mark}>{escape(text)}</td>"


def _figure(drawn: str, caption: str) -> str:
    # On a telephone a chart is scrolled, like a table: shrunk to its width, its letters could not be read.
    shown = f'<div class="scroll">{drawn}</div>' if drawn else ""
    return f"<figure>{shown}<figcaption>{escape(caption)}</figcaption></figure>" if drawn else ""


def _percent(weight: float | None) -> str:
    return "-" if weight is None else f"{weight:g} %"
