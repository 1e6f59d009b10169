#!/usr/bin/env bash
# Remove what the other scripts made in the tree.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

rm -rf "$ROOT/bin" "$ROOT/dist" "$ROOT/.cache"
