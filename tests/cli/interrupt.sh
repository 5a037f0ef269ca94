# Ctrl-C ends a run with what it has, and 130.
. tests/cli/support.bash
"$COPPICE" run -m "$M" --no-packed -p abc -n 1000000 --ctx 1000000 -t 1 >"$TMP/out" 2>"$TMP/said" &
pid=$!
for _ in $(seq 200); do [ -s "$TMP/out" ] && break; sleep 0.05; done
kill -TERM $pid
wait $pid
echo "exit $?"
cat "$TMP/said"
[ -s "$TMP/out" ] || echo "no text came before the signal"
