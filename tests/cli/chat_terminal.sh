# coppice chat on a terminal: line editing, history, Ctrl-C.
. tests/cli/support.bash
command -v python3 >/dev/null || { echo "skipped: chat_terminal: no python3 for a pseudo-terminal"; exit 0; }
timeout 150 python3 tests/cli/chat_pty.py "$COPPICE" "$M" "$TMP"
echo "roles: $(grep -o '"role": "[a-z]*"' "$TMP/saved.json" | cut -d'"' -f4 | tr '\n' ' ')"
grep -c 'first line \\nsecond line' "$TMP/saved.json"
