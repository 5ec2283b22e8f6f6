"""The page of benchmarks: ratios, ours by the peer's, with the band of noise and geometric means."""

import math
import pathlib
import platform

# What has to hold, as ratios: the mean of latencies, each of them beyond the noise, and the error's root mean square.
MEAN, EACH, ERROR = 1.0, 1.05, 1.10

HEAD = """# Against litert-torch

*Written by `bench/compare.py`, which measures all of this in one run: `bench/README.md` says how. litert-torch 0.10.0 with
ai-edge-quantizer 0.10.0 is the peer; both files run on LiteRT 2.3.0 with XNNPACK, on one thread of {machine}.*

Every figure is **ours ÷ the peer's** unless it says otherwise: below 1 is better. Weights are seeded, not trained.
"""


# What is shown of errors, with its form.
ERRORS = {
    "float": [("greatest error", "largest", "{:.2g}"), ("1 − cosine", "cosine", "{:.2g}"), ("SNR", "snr", "{:.1f}")],
    "int8": [("greatest error", "largest", "{:.2g}"), ("SNR", "snr", "{:.2f}")],
}


def written(rows, blocks):
    """The whole page. `rows` by model as `compare.py` measures them; `blocks` are the models that are parts of others."""
    parts = [HEAD.format(machine=processor()), summary(rows), conversions(rows), files(rows)]
    for form in ("float", "int8"):
        parts += [latencies(rows, blocks, form), errors(rows, form)]
    parts += [quantizations(rows), failures(rows)]
    return "\n".join(parts)


def summary(rows):
    """Geometric means, and whether each bar holds."""
    lines = ["## In short\n", "| figure | models | geometric mean | worst | bar | holds |", "|---|---|---|---|---|---|"]

    def line(title, ratios, bar="–", holds=None):
        ratios = {name: ratio for name, ratio in ratios.items() if ratio is not None}
        if not ratios:
            return
        worst = max(ratios, key=ratios.get)
        verdict = "–" if holds is None else ("yes" if holds else "**no**")
        mean = f"{geometric(ratios.values()):.3f}"
        lines.append(f"| {title} | {len(ratios)} | {mean} | {ratios[worst]:.3f} {worst} | {bar} | {verdict} |")

    line("conversion, CPU time from the archive", {n: seconds(r) for n, r in rows.items()})
    line("conversion, CPU time from the module", {n: seconds(r, with_export=True) for n, r in rows.items()})
    line("conversion, memory", {n: memory(r, "peer") for n, r in rows.items()})
    line("conversion, memory, its lightweight mode", {n: memory(r, "light") for n, r in rows.items()})
    for form in ("float", "int8"):
        sizes = {name: size(row[form]) for name, row in rows.items()}
        worst = max((s for s in sizes.values() if s is not None), default=0)
        line(f"{form}: bytes without metadata", sizes, "each ≤ 1", worst <= 1)
        line(f"{form}: operators", {name: count(row[form]) for name, row in rows.items()})
        timed = {n: r[form]["latency"] for n, r in rows.items() if r[form]["latency"] and not r[form]["latency"]["failed"]}
        ratios = {name: found["ratio"] for name, found in timed.items()}
        if ratios:
            mean = geometric(ratios.values()) <= MEAN
            each = all(found["ratio"] <= EACH + band(found) for found in timed.values())
            line(f"{form}: latency", ratios, f"mean ≤ {MEAN:.1f}, each ≤ {EACH} + band", mean and each)
        line(f"{form}: greatest error", {name: largest_ratio(row[form]) for name, row in rows.items()})
        wrong = {name: noise_ratio(row[form]) for name, row in rows.items()}
        worst = max((e for e in wrong.values() if e is not None), default=0)
        line(f"{form}: error, root mean square", wrong, f"each ≤ {ERROR:.2f}", worst <= ERROR)
    return "\n".join(lines) + "\n"


def conversions(rows):
    lines = [
        "## Conversion to float\n",
        "CPU time from the archive, and with the export of the archive counted, which the peer's holds; by that of `cp` of",
        "the archive; and memory: the peer's is what it takes over its imports and the model, also with",
        "`lightweight_conversion=True`. Ours is the whole process.\n",
        "| model | archive, MB | CPU | CPU with export | CPU ÷ cp | memory | memory, lightweight |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = [
            f"{row['archive'] / 1e6:.1f}",
            shown(seconds(row)),
            shown(seconds(row, with_export=True)),
            shown(ratio(row["float"]["ours"]["cpu"], row["copy"]), "{:.1f}"),
            shown(memory(row, "peer")),
            shown(memory(row, "light")),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def files(rows):
    lines = [
        "## The files\n",
        "`a : b` is ours, then the peer's. Bytes are compared without metadata, which in ours is the origin of every",
        "operator and is given beside as a part of the file.\n",
        "| model | operators | TRANSPOSE | greatest rank | bytes | metadata | int8: operators | int8: bytes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        plain, quantized = row["float"]["contents"], row["int8"]["contents"]
        cells = [
            pair(plain, lambda c: sum(c["operators"].values())),
            pair(plain, lambda c: c["operators"].get("TRANSPOSE", 0)),
            pair(plain, lambda c: c["rank"]),
            shown(size(row["float"]), "{:.4f}"),
            shown(ratio(plain["ours"]["metadata"], plain["ours"]["bytes"]) if "ours" in plain else None, "{:.2%}"),
            pair(quantized, lambda c: sum(c["operators"].values())),
            shown(size(row["int8"]), "{:.4f}"),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def latencies(rows, blocks, form):
    lines = [f"## Latency, {form}\n"]
    for part, chosen in (
        ("Whole models", [name for name in rows if name not in blocks]),
        ("Blocks", [name for name in rows if name in blocks]),
    ):
        timed = {name: rows[name][form]["latency"] for name in chosen if rows[name][form]["latency"]}
        if not timed:
            continue
        lines += [f"{part}:\n", "| model | ratio | the peer's file against itself |", "|---|---|---|"]
        for name, found in timed.items():
            if found["failed"]:
                lines.append(f"| {name} | – | {found['failed']} |")
                continue
            mark = "" if found["ratio"] <= EACH + band(found) else " **above**"
            lines.append(f"| {name} | {found['ratio']:.3f}{mark} | {found['noise'][0]:.3f} to {found['noise'][1]:.3f} |")
        lines.append("")
    return "\n".join(lines)


def errors(rows, form):
    heads = " | ".join(f"{head}, ours : the peer's" for head, *_ in ERRORS[form])
    lines = [
        f"## Error, {form}\n",
        "Against what PyTorch recorded in float, the worst of eight inputs; SNR, of signal to noise, is in dB, and more is",
        "better. The ratios are of the greatest errors, and of the root mean squares over all eight. Where both only round in",
        "another order than PyTorch, their greatest errors differ by chance.\n",
        f"| model | {heads} | greatest | root mean square |",
        "|---" * (3 + len(ERRORS[form])) + "|",
    ]
    for name, row in rows.items():
        cells = [
            " : ".join(shown(worse(row[form], who, key), shape) for who in ("ours", "peer"))
            for _, key, shape in ERRORS[form]
        ]
        cells += [shown(found(row[form]), "{:.2f}") for found in (largest_ratio, noise_ratio)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def quantizations(rows):
    lines = [
        "## Quantization to int8\n",
        "Ours from the archive to the file, whole; the peer's conversion with its quantization. Memory is the greater of its",
        "two peaks.\n",
        "| model | CPU | memory |",
        "|---|---|---|",
    ]
    for name, row in rows.items():
        ours, peer, first = row["int8"]["ours"], row["int8"]["peer"], row["float"]["peer"]
        if ours["failed"] or peer["failed"] or first["failed"]:
            continue
        cpu = ratio(ours["cpu"], first["cpu"] + peer["cpu"])
        lines.append(f"| {name} | {shown(cpu)} | {shown(ratio(ours['peak'], max(first['peak'], peer['peak'])))} |")
    return "\n".join(lines) + "\n"


def failures(rows):
    """What is not converted or does not load, by whom and why."""
    lines = ["## What is not converted\n", "| model | who | why |", "|---|---|---|"]

    def line(name, who, why):
        lines.append(f"| {name} | {who} | {why[:220].replace('|', '¦')} |")

    for name, row in rows.items():
        for form in ("float", "int8"):
            for who, said in (("ours", "Edgewright"), ("peer", "litert-torch"), ("light", "litert-torch, lightweight")):
                why = row[form].get(who, {}).get("failed")
                if why and not (form == "int8" and row["float"].get(who, {}).get("failed")):
                    line(name, f"{said}, {form}", why)
        for who, judged in row["float"]["judged"].items():
            if judged["failed"]:
                line(name, f"the file of {who}, float", judged["failed"])
        left = row["int8"]["left"]
        if left:
            why = f"does not load: {left['why']}; compared with {left['operation']} left in float"
            line(name, "ai-edge-quantizer", why)
        elif row["int8"]["judged"].get("ours", {}).get("failed"):
            line(name, "our int8 file", row["int8"]["judged"]["ours"]["failed"])
    return "\n".join(lines) + "\n"


def worse(row, who, key):
    """The worse of the runs, or None where there is none."""
    judged = row["judged"].get(who)
    if not judged or judged["failed"]:
        return None
    values = [run[key] for run in judged["runs"] if run[key] is not None]
    if not values:
        return None
    return min(values) if key == "snr" else max(values)


def largest_ratio(row):
    """Greatest errors, ours by the peer's."""
    return ratio(worse(row, "ours", "largest"), worse(row, "peer", "largest"))


def noise_ratio(row):
    """Root mean squares of the errors over all runs, ours by the peer's."""
    return ratio(noise(row, "ours"), noise(row, "peer"))


def noise(row, who):
    """The root mean square of the error over all runs, as a part of the signal; None where there are none."""
    judged = row["judged"].get(who)
    if not judged or judged["failed"]:
        return None
    powers = [0 if run["snr"] is None else 10 ** (-run["snr"] / 10) for run in judged["runs"]]
    return math.sqrt(sum(powers) / len(powers))


def seconds(row, with_export=False):
    """CPU time of the float conversion, ours by the peer's, which holds an export."""
    ours = row["float"]["ours"]["cpu"]
    if ours is not None and with_export:
        ours += row["export"]
    return ratio(ours, row["float"]["peer"]["cpu"])


def memory(row, against):
    """Ours by the peer's; None where it stays below what its imports had held."""
    return ratio(row["float"]["ours"]["peak"], row["float"][against]["peak"])


def size(row):
    """Bytes without metadata, ours by the peer's."""
    return both(row, lambda held: held["bytes"] - held["metadata"])


def count(row):
    return both(row, lambda held: sum(held["operators"].values()))


def both(row, figure):
    held = row["contents"]
    return ratio(figure(held["ours"]), figure(held["peer"])) if len(held) == 2 else None


def pair(held, figure):
    return " : ".join(str(figure(held[who])) if who in held else "–" for who in ("ours", "peer"))


def band(found):
    """How far the peer's file is from itself."""
    return max(abs(edge - 1) for edge in found["noise"])


def geometric(ratios):
    ratios = list(ratios)
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def ratio(a, b):
    """a ÷ b, or None where one of them is not known."""
    return a / b if a is not None and b and b > 0 else None


def shown(value, form="{:.3f}"):
    return "–" if value is None else form.format(value)


def processor():
    """The kind of processor, by the vector extensions that XNNPACK chooses its kernels by."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    known = {"amx_int8": "AMX", "avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}
    return f"{platform.machine()} with {next((name for flag, name in known.items() if flag in flags), 'no known vectors')}"
