#!/bin/sh
# Makes `npm start` and `npm test` the only set-up: installs what the lock file names when node_modules is older than it.
# The Node that runs everything (>= 24) comes along as a plain package, so the Node that npm itself runs on does not matter.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.package-lock.json
if [ ! -f "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  echo "rokka: installing dependencies (once; about 20 s)" >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch "$stamp"
fi
