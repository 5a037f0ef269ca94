# A reader that goes away ends the run soon and cleanly: exit 5 and one line, no signal.
. tests/cli/support.bash
for command in "run -m $M --no-packed -p abc -n 4000 --ctx 4096" "logits -m $M -p abc --json --top 200 --layers" "info $M --tensors --keys" help; do
    { "$COPPICE" $command 2>"$TMP/said"; echo "$?" >"$TMP/code"; } | head -c 1 >"$TMP/first"
    [ "$(<"$TMP/code")" -lt 128 ] || echo "$command: ended by a signal"
    [ "$(wc -l <"$TMP/said")" -le 1 ] || cat "$TMP/said"
done
"$COPPICE" run -m "$M" --no-packed -p abc -n 4 >/dev/full 2>"$TMP/said"
echo "exit $?"; cat "$TMP/said"
"$COPPICE" models --json >/dev/full 2>"$TMP/said"
echo "exit $?"; cat "$TMP/said"
