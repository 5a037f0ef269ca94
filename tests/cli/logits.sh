# Logits as JSON and as NumPy arrays.
. tests/cli/support.bash
show logits -m "$M" --no-packed --tokens 1,2,3 --top 2 --json
[ "$("$COPPICE" logits -m "$M" -p abc --json)" = "$("$COPPICE" logits -m "$M" --tokens 97,98,99 --json)" ] || echo "ids and text: another result"
"$COPPICE" logits -m "$M" --tokens 1,2,3 --npy "$TMP/a.npy" --layers --json >"$TMP/json"
for file in a.npy a.npy.layers.npy; do
    head -c 8 "$TMP/$file" | bytes
    head -c 128 "$TMP/$file" | tail -c +11 | grep -a -o "{.*}"
    echo "$(($(stat -c %s "$TMP/$file") - 128)) bytes of numbers"
done
tail -c 12 "$TMP/a.npy" | bytes
"$COPPICE" logits -m "$M" --tokens 1 --layers --json | grep -A 6 "\"layers\"" | tr -d " \n"; echo
show logits -m "$M" --tokens 1 --npy "$TMP/absent/a.npy"
show logits -m "$M" -p "Hi \"you\"" --top 3
show logits -m "$M" --tokens 1 --layers
