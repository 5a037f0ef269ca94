# Drafted text in colours, the trace of a run, and its page.
. tests/cli/support.bash
T=$(printf 'one two one two \xc3\xa9\xe2\x98\x83')
go() { "$COPPICE" run -m "$M" --no-packed -p "$T" -n 60 --draft copy:order=1 "$@"; }
go >"$TMP/plain"

# No colours in a pipe, nor where NO_COLOR is; where they are forced, the text between them is the same and whole.
go --show-draft | cmp - "$TMP/plain"
NO_COLOR=1 CLICOLOR_FORCE=1 go --show-draft | cmp - "$TMP/plain"
coloured() { CLICOLOR_FORCE=1 go --show-draft "$@"; }
for more in "" "--stop xyzzy" "--temp 0.9 --seed 2"; do
    # shellcheck disable=SC2086  # options
    coloured $more >"$TMP/coloured"
    # shellcheck disable=SC2086
    go $more >"$TMP/text"
    grep -a -o $'\e\\[[0-9]*m' "$TMP/coloured" | sort | uniq -c | tr -s ' \033' ' '
    sed 's/\x1b\[[0-9]*m//g' "$TMP/coloured" | cmp - "$TMP/text"
    sed 's/\x1b\[[0-9]*m/\n/g' "$TMP/coloured" | iconv -f UTF-8 -t UTF-8 >/dev/null || echo "a character was cut"
done

# A node of the trace is one that was proposed, its fate what the statistics count; the text is not changed.
go --trace "$TMP/trace" | cmp - "$TMP/plain"
go --trace "$TMP/trace" --json >"$TMP/json"
number() { sed -n "s/^ *\"$1\": \([0-9]*\),*$/\1/p" "$TMP/json" | tail -1; }
count() { grep -o "$1" "$TMP/trace" | wc -l; }
[ $(($(wc -l <"$TMP/trace") - 1)) -eq "$(number steps)" ] || echo "not a line per step"
[ "$(count '"fate":"accepted"')" -eq $(($(number steps) + $(number accepted))) ] || echo "accepted differ"
[ "$(count '"fate":')" -eq $(($(number steps) + $(number proposed))) ] || echo "proposed differ"
[ $(($(count '"token":') - $(count '"fate":'))) -eq "$(number tokens)" ] || echo "tokens differ"
head -1 "$TMP/trace"
sed -n '2,$p' "$TMP/trace" | grep -o '"[a-z_]*":' | sort -u | tr -d '\n'; echo
go --ctx 66 --trace "$TMP/pruned" >/dev/null; grep -c '"fate":"pruned"' "$TMP/pruned"  # nodes that the context has no room for

# The page: one file, nothing from elsewhere, and no text of the trace can end its script.
show trace "$TMP/trace"
show trace "$TMP/trace" -o "$TMP/page.html"
"$COPPICE" trace "$TMP/trace" -o - | cmp - "$TMP/page.html"
cmp "$TMP/page.html" "$TMP/trace.html"
sed 's/"text":"[^"]*"/"text":"<\/script><b>"/' "$TMP/trace" >"$TMP/script"
"$COPPICE" trace "$TMP/script" -o - >"$TMP/script.html"
grep -c '</script' "$TMP/page.html" "$TMP/script.html" | sed 's/.*://'
grep -o 'https*://[a-z.0-9]*' "$TMP/script.html" | sort | uniq -c
head -c -20 "$TMP/trace" >"$TMP/torn"; "$COPPICE" trace "$TMP/torn" -o - | grep -c '"steps":\[{'

# Files that are none, by their line.
bad() { sed "$1" "$TMP/trace" >"$TMP/bad"; "$COPPICE" trace "$TMP/bad" -o "$TMP/bad.html" 2>&1 | sed "s|$TMP|TMP|g"; }
bad '1d'
bad '1s/"drafters":\["copy"\]/"drafters":[3]/'
bad '1s/"drafters":\["copy"\]/"drafters":["other"]/'
bad '1s/"drafters":\[[^]]*\]/"drafters":["1","2","3","4","5","6","7","8","9"]/'
bad '1s/"model":"[^"]*",//'
bad '3s/"parent":-1/"parent":0/'
bad '3s/"nodes":\[{.*}\],"rows"/"nodes":[],"rows"/'
bad '3s/"fate":"accepted"/"fate":"lost"/'
bad '3s/"token":[0-9]*/"token":1e99/'
bad '3s/"rows":[0-9]*/"rows":-1/'
bad '3s/"verify_seconds":[^,]*/"verify_seconds":"x"/'
bad '3s/"verify_seconds":[^,]*/"verify_seconds":-1/'
bad '3s/"emitted":/"omitted":/'
bad '4s/.*/[[[[[[[[[[[[/'
bad '4s/.*/{"a":1,"a":2}/'
bad '2,$d'
bad '1,$d'
show trace
show trace "$TMP/absent"
show trace "$TMP/trace" -o "$TMP/no/page.html"
show run -m "$M" --no-packed -p a -n 1 --trace "$TMP/no/trace"
show run -m "$M" --no-packed -p a -n 1 --show-draft --json
