"""An evaluation as one HTML page: tables, presence as a curve, the worst answers of every method first."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from mattelike.evaluation.markdown import CONTEST
from mattelike.evaluation.rows import Row
from mattelike.evaluation.statistics import Curve
from mattelike.evaluation.summary import Part, Summary, best, figure, interval
from mattelike.metrics import METRICS

Case = tuple[Row, str]
"""A row and the path of its picture."""

INKS = ("#c2410c", "#0f766e", "#4338ca", "#a16207", "#be185d", "#15803d", "#1d4ed8", "#6b21a8", "#57534e")
WIDE, HIGH, EDGE = 560, 300, 46

STYLE = """
:root { color-scheme: light; --ink: #292524; --pale: #78716c; --line: #e7e5e4; --ground: #fafaf9; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 72rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
code { font-size: .88em; background: #f0efed; padding: .1em .35em; border-radius: 4px;
  overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; background: #fff; border: 1px solid var(--line); }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
th { font-weight: 600; } th small, td small { display: block; color: var(--pale); font-weight: 400;
  font-size: .78em; }
.best { font-weight: 700; } .pale, figcaption { color: var(--pale); font-size: .88em; }
figure { margin: .8rem 0 1.4rem; } figure img { max-width: 100%; border: 1px solid var(--line); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .88em; }
dt { color: var(--pale); } dd { margin: 0; overflow-wrap: anywhere; }
.key span { display: inline-block; margin-right: 1rem; } .key i { display: inline-block; width: .8em;
  height: .8em; border-radius: 2px; margin-right: .35em; }
"""


def page(summary: Summary, about: Mapping[str, Any], cases: Mapping[str, Sequence[Case]]) -> str:
    """The page.

    Args:
        summary: All figures.
        about: What it was made with.
        cases: By method, the worst answers, worst first.
    """
    bench = about["benchmark"]
    title = f"{bench['name']}, protocol {about['protocol']['name']}"
    body = [
        f"<h1>{_text(title)}</h1>",
        f"<p class=pale>{bench['pictures']} pictures in {bench['groups']} groups; references marked by "
        f"{_text(about['protocol']['form'])}; <code>{_text(about['command'])}</code></p>",
        *[_table(part, about["given"]) for part in summary.parts[:1]],
        f"<p class=pale>{_text(CONTEST)} Below each figure its 95 % interval, by bootstrap over groups.</p>",
        *[_table(part, about["given"]) for part in summary.parts[1:]],
        _failures(summary),
        _presence(summary.curves),
        _spreads(summary),
        "<h2>Worst answers</h2>",
        *[_cases(name, found) for name, found in cases.items()],
        _made_with(about),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width">'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(filter(None, body)) + "\n</body></html>\n"
    )


def _table(part: Part, given: Mapping[str, str]) -> str:
    winners = best(part, given)
    head = "".join(f"<th>{_text(name)}<small>{_unit(name)}</small></th>" for name in part.metrics)
    lines = []
    for name, figures in part.figures.items():
        count = max((found.count for found in figures), default=0)
        cells = "".join(
            f"<td{' class=best' if name in winner else ''}>{figure(found.mean)}"
            f"<small>{interval(found)}</small></td>"
            for winner, found in zip(winners, figures, strict=True)
        )
        told = f"<small>given {_text(given[name])}</small>"
        lines.append(f"<tr><td>{_text(name)}{told}</td><td>{count}</td>{cells}</tr>")
    return (
        f"<h2>{_text(part.title)}</h2><div class=wide><table><tr><th>method</th><th>pictures</th>{head}</tr>"
        + "".join(lines)
        + "</table></div>"
    )


def _unit(metric: str) -> str:
    row = METRICS[metric]
    return f"{_text(row.unit)}, {'more' if row.higher_is_better else 'less'} is better"


def _presence(curves: Mapping[str, Curve]) -> str:
    if not curves:
        return ""
    inks = dict(zip(curves, INKS * (len(curves) // len(INKS) + 1), strict=False))
    rows = "".join(
        f"<tr><td>{_text(name)}</td><td>{figure(c.auroc)}</td><td>{figure(c.area)}</td>"
        f"<td>{figure(c.risk[-1])}</td></tr>"
        for name, c in curves.items()
    )
    key = "".join(f'<span><i style="background:{inks[name]}"></i>{_text(name)}</span>' for name in curves)
    return (
        "<h2>Presence: what is risked by answering</h2>"
        "<p class=pale>Questions are answered in the order of falling presence. Risk is the mean of 1 - IoU "
        "of what is answered; for an absent thing only an empty answer is right.</p>"
        f"{_drawn(curves, inks)}<p class=key>{key}</p><div class=wide><table><tr><th>method</th>"
        "<th>AUROC, present or absent</th><th>area under the curve</th><th>risk of all</th></tr>"
        f"{rows}</table></div>"
    )


def _drawn(curves: Mapping[str, Curve], inks: Mapping[str, str]) -> str:
    lines = []
    for tick in range(6):
        share = tick / 5
        x, y = _at(share, share)
        lines.append(f'<line x1="{EDGE}" x2="{EDGE + WIDE}" y1="{y}" y2="{y}" stroke="#e7e5e4"/>')
        lines.append(f'<text x="{EDGE - 8}" y="{y + 4}" text-anchor="end">{share:.1f}</text>')
        lines.append(f'<text x="{x}" y="{HIGH + 30}" text-anchor="middle">{share:.0%}</text>')
    for name, curve in curves.items():
        points = " ".join("{},{}".format(*_at(c, r)) for c, r in zip(curve.coverage, curve.risk, strict=True))
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{inks[name]}" stroke-width="2">'
            f"<title>{_text(name)}</title></polyline>"
        )
    across = f'<text x="{EDGE + WIDE / 2}" y="{HIGH + 48}" text-anchor="middle">coverage</text>'
    return (
        f'<svg viewBox="0 0 {WIDE + EDGE + 20} {HIGH + 56}" width="{WIDE + EDGE + 20}" role="img" '
        'aria-label="risk over coverage" style="max-width:100%;font:12px system-ui;fill:#78716c">'
        + "".join(lines)
        + f'<text x="-{HIGH / 2 + 10}" y="14" text-anchor="middle" transform="rotate(-90)">risk</text>'
        + across
        + "</svg>"
    )


def _at(coverage: float, risk: float) -> tuple[float, float]:
    return round(EDGE + coverage * WIDE, 1), round(10 + (1 - risk) * HIGH, 1)


def _spreads(summary: Summary) -> str:
    if not summary.spreads:
        return ""
    head = "".join(f"<th>{_text(metric)}</th>" for metric in summary.parts[0].metrics)
    lines = "".join(
        f"<tr><td>{_text(name)}</td>" + "".join(f"<td>{figure(value)}</td>" for value in found) + "</tr>"
        for name, found in summary.spreads.items()
    )
    return (
        "<h2>Spread over the choice of reference</h2><p class=pale>Standard deviation of the mean, from one "
        f"choice of references to another.</p><div class=wide><table><tr><th>method</th>{head}</tr>{lines}"
        "</table></div>"
    )


def _failures(summary: Summary) -> str:
    failed = [f"{_text(name)}: {count}" for name, count in summary.failed.items() if count]
    return f"<p><strong>Pictures without an answer:</strong> {', '.join(failed)}.</p>" if failed else ""


def _cases(name: str, cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    strips = []
    for row, path in cases:
        said = "" if row.presence is None else f", presence {row.presence:.2f}"
        there = "" if row.present else ", the thing is not in it"
        caption = f"{row.target}{there}: MAD {row.values['mad']:.3f}, IoU {row.values['iou']:.2f}{said}"
        strips.append(
            f'<figure><img src="{html.escape(path)}" alt="{_text(caption)}" loading="lazy">'
            f"<figcaption>{_text(caption)}</figcaption></figure>"
        )
    return f"<h3>{_text(name)}</h3>" + "".join(strips)


def _made_with(about: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {found}" for name, found in about["packages"].items())
    facts = {
        "mattelike": f"{about['mattelike']}, Python {about['python']}, {about['machine']}",
        "packages": packages,
        "benchmark": f"sha256 {about['benchmark']['sha256']}",
        "protocol": ", ".join(f"{key} {value}" for key, value in about["protocol"].items()),
        **{
            name: ", ".join(f"{key} {value}" for key, value in found.items() if value)
            for name, found in about["methods"].items()
        },
        "metrics": "; ".join(f"{name}: {text}" for name, text in about["metrics"].items()),
    }
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in facts.items())
    return f"<h2>Made with</h2><dl>{rows}</dl>"


def _text(value: object) -> str:
    return html.escape(str(value))
