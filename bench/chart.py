"""Bars as an SVG file, light or dark as the reader has it."""

from collections.abc import Sequence
from html import escape

_WIDTH, _LEFT, _ROW, _GAP, _TOP = 760, 230, 18, 30, 40
_PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 aria-label="{title}" font-family="system-ui, sans-serif" font-size="12">
<style>
text {{ fill: #24292f }} rect {{ fill: #8c959f }} .ours {{ fill: #1a7f5a }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} rect {{ fill: #6e7681 }} }}
</style>
<text x="0" y="16" font-size="15" font-weight="600">{title}</text>
{rows}
</svg>
"""


def bars(title: str, groups: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> str:
    """Groups of named bars, each group to a scale of its own: the longest fills its row."""
    rows: list[str] = []
    at = _TOP
    for name, found in groups:
        rows.append(f'<text x="0" y="{at + 13}" font-weight="600">{escape(name)}</text>')
        most = max((value for _, value in found), default=1.0)
        for label, value in found:
            long = max(1.0, (_WIDTH - _LEFT - 70) * value / most)
            mark = ' class="ours"' if label == "letterbox" else ""
            end = _LEFT + long + 6
            rows += [
                f'<text x="{_LEFT - 8}" y="{at + 13}" text-anchor="end">{escape(label)}</text>',
                f'<rect x="{_LEFT}" y="{at + 3}" width="{long:.0f}" height="12"{mark}/>',
                f'<text x="{end:.0f}" y="{at + 13}">{value:,.0f}</text>',
            ]
            at += _ROW
        at += _GAP - _ROW
    return _PAGE.format(width=_WIDTH, height=at, title=escape(title), rows="\n".join(rows))
