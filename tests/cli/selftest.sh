# Every level has the recorded bits: kernels always, the default model when it is here.
. tests/cli/support.bash
"$COPPICE" selftest --kernels >"$TMP/out" || cat "$TMP/out"
[ "$(uname -m)" != x86_64 ] || grep -q '^scalar .*the same bits' "$TMP/out" || cat "$TMP/out"
grep -q "kernels give the same bits as every other's; no model was run" "$TMP/out" || cat "$TMP/out"
[ -f "$MODELS/smollm2-135m.gguf" ] || { echo "skipped: selftest: no smollm2-135m"; exit 0; }
for level in $(cut -d' ' -f1 "$TMP/out" | grep -E '^(scalar|avx2|avx512|neon)$'); do
    COPPICE_CPU=$level COPPICE_MODELS=$MODELS "$COPPICE" selftest --no-packed >"$TMP/model" || cat "$TMP/model"
    grep -q "^$level *smollm2-135m, 10 prompts: the same bits" "$TMP/model" || cat "$TMP/model"
done
