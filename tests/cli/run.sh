# Text of a tiny model: the same bytes on any number of threads and at every level, packed or not.
. tests/cli/support.bash
text() { "$COPPICE" run -m "$M" -p hello -n 40 "$@" | bytes; }
plain=$(text --no-packed)
echo "$plain"
for threads in 1 2 3; do [ "$(text --no-packed -t $threads)" = "$plain" ] || echo "$threads threads: another text"; done
for level in $("$COPPICE" selftest --kernels | sed -n 's/^\([a-z0-9]*\) *[0-9]* kernels.*/\1/p'); do
    [ "$(COPPICE_CPU=$level text --no-packed)" = "$plain" ] || echo "$level: another text"
    [ "$(text --no-packed --cpu "$level")" = "$plain" ] || echo "--cpu $level: another text"
done
text --no-packed --temp 0.8 --seed 3
[ "$(text --temp 0.8 --seed 3 -t 1)" = "$(text --temp 0.8 --seed 3 -t 2)" ] || echo "same seed, another text"
text --temp 0.8 --seed 4 --top-k 20 --top-p 0.9 --min-p 0.01 --repeat-penalty 1.2
show run -m "$M" -p hello -n 0

# What was packed is kept, read again, and made anew when it is damaged.
kept=$(find "$XDG_CACHE_HOME" -name '*.pack')
[ "$(wc -l <<<"$kept")" -eq 1 ] && [ -n "$kept" ] || echo "kept: $kept"
[ "$(text)" = "$plain" ] || echo "kept weights: another text"
for damage in "truncate -s 1000" "truncate -s 0" "truncate -s +4096"; do
    $damage "$kept"
    [ "$(text)" = "$plain" ] || echo "$damage: another text"
done
for at in 0 100 20000 200000; do
    printf '\x5a' | dd of="$kept" bs=1 seek=$at conv=notrunc status=none
    [ "$(text)" = "$plain" ] || echo "byte $at changed: another text"
done

for model in tests/data/tiny-*.gguf; do
    echo "$model $("$COPPICE" run -m "$model" -p abc -n 16 --json | grep logits_hash)"
done
