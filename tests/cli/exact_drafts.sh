# The text of every drafter of the table, and of auto, is plain decoding's on a real model and real prompts. Small, to
# take a minute; SIZE="50 64" asks for 50 prompts of 64 tokens.
. tests/cli/support.bash
data=${COPPICE_DATA:-../shared/data}
[ -f "$MODELS/smollm2-135m.gguf" ] || { echo "skipped: exact_drafts: no smollm2-135m in $MODELS"; exit 0; }
[ -d "$data" ] || { echo "skipped: exact_drafts: no data in $data"; exit 0; }
read -r prompts tokens <<<"${SIZE:-9 16}"
COPPICE_MODELS=$MODELS bench/exact_drafts --coppice "$COPPICE" --data "$data" --prompts "$prompts" -n "$tokens" >"$TMP/out" 2>&1
echo "exit $?"
for name in $("$COPPICE" methods | sed -n 's/^draft *\([a-z_0-9]*\) .*/\1/p') auto; do
    for mode in greedy seeded; do
        grep -q -E "^$mode +$name +$prompts prompts +[0-9]+ tokens +0 different" "$TMP/out" || echo "$mode $name: $(grep -E "^$mode +$name " "$TMP/out")"
    done
done
grep -v -E '^(greedy|seeded|skipped:)' "$TMP/out"
exit 0
