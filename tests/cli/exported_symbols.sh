#!/bin/bash
# The shared library exports the functions that coppice.h declares, and nothing else, and lacks none of its own.
#   tests/cli/exported_symbols.sh [BUILD FOLDER]
set -u
library=${1:-build}/libcoppice.so
[ -f "$library" ] || { echo "skipped: exported_symbols: no $library"; exit 0; }
declared=$(tr '\n' ' ' <include/coppice.h | grep -o 'COP_API [^;]*' | grep -v '__attribute__' |
    sed -E 's/\(.*//; s/.*[^a-z0-9_]//' | sort -u)
exported=$(nm -D --defined-only "$library" | awk '$2 !~ /^[wVv]$/ { print $3 }' | sed 's/@.*//' | sort -u)
[ -n "$declared" ] || { echo "exported_symbols: found no declaration in include/coppice.h"; exit 1; }
nm -D "$library" | awk '$1 == "U" && $2 ~ /^cop_/ { print $2 ": missing from the library"; bad = 1 } END { exit bad }' || exit 1
diff <(echo "$declared") <(echo "$exported") | sed -n 's/^< \(.*\)/\1: declared in coppice.h, not exported/p
s/^> \(.*\)/\1: exported, not in coppice.h/p' | { ! grep .; }
