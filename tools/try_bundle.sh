#!/usr/bin/env bash
# A bundle with all dependencies, installed into a bare virtual environment without network; its notebook run there.
#
#     tools/try_bundle.sh DATA RUN [RUN ...]        # `make demo` makes demo/data and demo/run
#
# The environment holds pip, and ipykernel and nbclient to run a notebook at all. The bundle brings the rest.
set -euo pipefail
data=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

jaxlab bundle "$@" --out "$place/bundle" --data "$data" --everything
python -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet ipykernel nbclient
echo "bare: $("$place/venv/bin/pip" list --format=freeze | wc -l) packages, of them jax: $("$place/venv/bin/pip" list --format=freeze | grep -c '^jax' || true)"

# No network: a namespace of its own without any device, where the machine permits that; else a proxy that refuses.
if unshare --user --net true 2>/dev/null; then
    offline=(unshare --user --map-root-user --net)
    echo "network: none (a network namespace without devices)"
else
    offline=(env PIP_NO_INDEX=1 http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9)
    echo "network: a proxy that refuses"
fi
cp "$here/run_notebook.py" "$place"
env --unset=PYTHONPATH JAXLAB_CACHE="$place/cache" \
    "${offline[@]}" "$place/venv/bin/python" "$place/run_notebook.py" "$place/bundle/notebook.ipynb"
cp "$place"/bundle/submission.csv* .
python -m submit check submission.csv --against "$data/sample_submission.csv"
