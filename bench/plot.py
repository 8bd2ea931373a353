"""Bars as SVG, without a library."""

from html import escape

ROW = 26
LEFT = 150
WIDTH = 560


def bars(title: str, speeds: dict[str, float], machine: str) -> str:
    shown = sorted(speeds.items(), key=lambda pair: -pair[1])
    most = max(speeds.values())
    height = ROW * len(shown) + 60
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<text x="10" y="20" font-size="15">{escape(title)}, GB/s</text>',
    ]
    for row, (name, speed) in enumerate(shown):
        y = 34 + ROW * row
        length = max(1.0, WIDTH * speed / most)
        colour = "#b5432a" if name.startswith("tocsin") else "#8a8f98"
        if name == "memory read":
            colour = "#c9ced6"
        out += [
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 7}" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 15}">{speed:.3g}</text>',
        ]
    out += [f'<text x="10" y="{height - 8}" font-size="11">{escape(machine)}</text>', "</svg>"]
    return "\n".join(out) + "\n"
