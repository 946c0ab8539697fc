#!/usr/bin/env bash
# From image files to a checked submission and its score, on simulated neurons whose noise ceiling is known.
set -euo pipefail
show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

rm -rf demo/data
show jaxlab simulate demo/data
show jaxlab train configs/quickstart.py --set data.root=demo/data --run demo/run
show jaxlab predict demo/run --out demo/submission.csv
show python -m submit check demo/submission.csv --against demo/data/sample_submission.csv
show python -m submit score demo/submission.csv demo/data/solution.csv --ceiling demo/data/solution.ceiling.npy
printf '\nThe submission is demo/submission.csv; the training curves are demo/run/plots/curves.png.\n'
