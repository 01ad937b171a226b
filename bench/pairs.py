#!/usr/bin/env python3
"""Compares two builds of the launcher with `bench`, in pairs, for this machine's speed changes within minutes.

bench/pairs.py BENCH OLD NEW PAIRS ARGUMENTS_OF_BENCH…

    bench/pairs.py target/release/bench ../old/target/release/launcher target/release/launcher 10 \\
        relay --systems text,native --windows 8 --seconds 1.5 --rate 8000

Each pair runs both, in turns. Prints for each figure the medians and the ratio new/old: the median over the pairs, the least and
the greatest. The last line is the processor time of everything, the load generator included.
"""

import re
import resource
import statistics
import subprocess
import sys

COLUMNS = re.compile(r"^(?P<scenario>.{35})(?P<system>.{22})(?P<rate>.{10})(?P<times>.{36})(?P<note>.*)$")


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def figures(row):
    """The figures of one row of bench's table, by name."""
    if row["rate"].strip():
        yield "a second", row["rate"]
    times = row["times"].split()
    if len(times) >= 2 and re.fullmatch(r"[\d.]+", times[0]):
        yield "p50 ms", times[0]
        yield "p99 ms", times[1]
    for unit in ("KiB each", "MiB PSS", "µs each"):
        if found := re.search(rf"([\d.]+) {unit}", row["times"] + row["note"]):
            yield unit, found[1]


def run(bench, launcher, arguments):
    before = processor_seconds()
    done = subprocess.run([bench, "--launcher", launcher, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{bench} --launcher {launcher} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
    found = {}
    for line in done.stdout.splitlines():
        row = COLUMNS.match(line.ljust(103))
        if row and not line.startswith("scenario"):
            for name, value in figures(row):
                found[row["scenario"].strip(), row["system"].strip(), name] = float(value)
    found["processor time", "everything", "s"] = processor_seconds() - before
    return found


def main():
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    bench, old, new, pairs, *arguments = sys.argv[1:]
    results = []
    for pair in range(int(pairs)):
        both = {}
        for launcher in (old, new) if pair % 2 == 0 else (new, old):
            both[launcher] = run(bench, launcher, arguments)
        results.append((both[old], both[new]))
    for figure in results[0][0]:
        values = [(one[figure], other[figure]) for one, other in results if one.get(figure) and figure in other]
        if not values:
            continue
        olds, news = zip(*values)
        ratios = [other / one for one, other in values]
        scenario, system, name = figure
        print(
            f"{scenario:34} {system:20} {name:9} old {statistics.median(olds):11.2f}"
            f" new {statistics.median(news):11.2f}  new/old {statistics.median(ratios):.3f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f})"
        )


main()
