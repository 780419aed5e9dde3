"""Reads what chromium.mjs printed on standard input and prints the figures as JSON."""

import json
import sys

import measuring

run = json.load(sys.stdin)
rows = [(at, stamp, None) for at, stamp, _, _ in run["rows"]]
figures = measuring.figures(rows, run["begin"], run["end"])
if run["rows"]:
    figures["size"] = run["rows"][-1][2:]
print(json.dumps(figures))
