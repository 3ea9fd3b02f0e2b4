#!/bin/sh
# Compiles every requirements.txt against one set of versions, so that all services can share one virtual
# environment. `UPGRADE=--upgrade make requirements` moves to the newest versions.
set -eu
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links "$@"; }
compile ${UPGRADE:-} ./*/requirements.in --output-file constraints.txt
for file in ./*/requirements.in; do
    compile "$file" --constraint constraints.txt --generate-hashes --output-file "${file%.in}.txt"
done
