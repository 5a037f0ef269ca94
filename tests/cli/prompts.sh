# The prompt from the command line, a file and standard input is one prompt.
. tests/cli/support.bash
run() { "$COPPICE" run -m "$M" --no-packed --draft none -n 12 --json "$@" | timeless | grep -v -E '"(draft|verify)_seconds'; }
printf 'Once upon a time' >"$TMP/prompt"
run -p "Once upon a time"
[ "$(run -p "Once upon a time")" = "$(run -f "$TMP/prompt")" ] || echo "-f: another result"
[ "$(run -p "Once upon a time")" = "$(run -p - <"$TMP/prompt")" ] || echo "-p -: another result"
[ "$(run -p "Once upon a time")" = "$(run --prompt="Once upon a time")" ] || echo "--prompt=: another result"
show run -m "$M" -p a -f "$TMP/prompt"
show run -m "$M"
show run -m "$M" -f "$TMP/absent"
show run -m "$M" -f "$TMP"
show run -m tests/data/tiny-llama-b.gguf -p hello --chat
show run -m "$M" -p hello --raw --chat
show run -m "$M" -p hello --system words
