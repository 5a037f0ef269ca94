# The server's page in a browser without a screen: first against a server that stands in, then against the real one.
. tests/cli/support.bash
command -v chromium >/dev/null || { echo "skipped: page: no chromium"; exit 0; }

tools/page_text web/index.html >"$TMP/index.html"
timeout 120 python3 tests/cli/page_browser.py test "$TMP/index.html"

echo '{% for m in messages %}{{ m.content }}{% endfor %}' >"$TMP/template"
"$COPPICE" serve -m $M --port 0 --chat-template-file "$TMP/template" >"$TMP/said" 2>"$TMP/errors" &
server=$!
for _ in $(seq 100); do grep -q listening "$TMP/said" && break; sleep 0.1; done
timeout 60 python3 tests/cli/page_browser.py real "$(sed -n 's/^listening at //p' "$TMP/said")/"
kill $server
wait $server
exit 0
