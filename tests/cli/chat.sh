# coppice chat with lines from standard input: commands, answers, a full context, an interrupt.
. tests/cli/support.bash
chat() {  # chat LINES OPTIONS: what is said on standard error; the answers go to TMP/answers
    local code
    printf "$1" | "$COPPICE" chat -m "$M" --no-packed -t 1 "${@:2}" 2>&1 >"$TMP/answers" | sed "s|$TMP|TMP|g"
    code=${PIPESTATUS[1]}
    [ "$code" -eq 0 ] || echo "exit $code"
}
echo "-- commands"
chat '/help\n' -n 8
chat "/system Be brief.\nhello\n\n\"\"\"one\ntwo\n\"\"\"\na \\\\\nb\n//slash\n/undo\n/save $TMP/saved.json\n/quit\nnever\n" -n 8
"$COPPICE" template -m "$M" -f "$TMP/saved.json" | grep -v '^<|im_start|>assistant' | grep -a -A2 '^<|im_start|>' | grep -a -v -- '^--' | cut -c1-40 | grep -a -E 'im_start|brief|hello|one|two|a $|b<'
echo "-- the first answer is what run --chat writes"
"$COPPICE" run -m "$M" --no-packed -t 1 --chat --system "Be brief." -p hello -n 8 >"$TMP/run"
chat "hello\n" -n 8 --system "Be brief."
cmp "$TMP/run" "$TMP/answers" && echo same
echo "-- a saved conversation continues"
chat "/load $TMP/saved.json\n/undo\n/clear\n/undo\n" -n 8
chat "/load $TMP/absent\n" -n 8
chat "/frobnicate\n" -n 8
echo "-- a full context: the oldest turns go, the system message stays"
chat "one\ntwo\nthree\nfour\n/stats\n/save $TMP/long.json\n" -n 12 --ctx 150 --system "Be brief." | grep -v tokens/s
grep -c '"role"' "$TMP/long.json"
chat "$(printf 'x%.0s' $(seq 300))\n" -n 12 --ctx 150
echo "-- a template that refuses"
printf '{{ raise_exception("no chat with me") }}' >"$TMP/refuses.jinja"
chat "hello\n" --template "$TMP/refuses.jinja"
chat "hello\n" --json
show chat -m tests/data/tiny-llama-b.gguf --no-packed </dev/null
echo "-- an interrupt ends the answer, not the conversation"
mkfifo "$TMP/lines"
"$COPPICE" chat -m "$M" --no-packed -t 1 -n 1000000 --ctx 1000000 --draft none <"$TMP/lines" >"$TMP/out" 2>"$TMP/said" &
pid=$!
exec 9>"$TMP/lines"
echo "tell me all" >&9  # an answer that does not end by itself
for _ in $(seq 200); do [ "$(stat -c %s "$TMP/out")" -gt 100 ] && break; sleep 0.05; done
kill -INT $pid
for _ in $(seq 200); do grep -q interrupted "$TMP/said" && break; sleep 0.05; done
echo "/save $TMP/interrupted.json" >&9
exec 9>&-
wait $pid
echo "exit $?"
cat "$TMP/said"
