. tests/cli/support.bash
command -v python3 >/dev/null || { echo "skipped: no python3 to stand in for the hub"; exit 0; }
unset HF_HOME HF_TOKEN XDG_CACHE_HOME
export HF_HUB_CACHE=$TMP/hub no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
H=$TMP/served
mkdir -p "$H/o/tiny" "$H/o/many/sub" "$H/o/parts" "$H/o/private" "$H/o/false" "$H/o/broken" "$H/o/lying" "$H/o/empty"
cp tests/data/tiny-llama-a/* "$H/o/tiny"
echo '{}' >"$H/o/tiny/training_args.json"
cp tests/data/tiny-q8_0.gguf "$H/o/many/tiny-Q8_0.gguf"
cp tests/data/tiny-q4_0.gguf "$H/o/many/tiny-Q4_0.cut.gguf"
cp tests/data/tiny-q4_1.gguf "$H/o/many/sub/tiny-Q4_1.busy.gguf"
cp tests/data/parts/tiny-Q4_0-0000?-of-00002.gguf tests/data/tiny-q8_0.gguf "$H/o/parts"
cp tests/data/tiny-f16.gguf "$H/o/private/tiny-f16.gguf"
cp tests/data/tiny-q8_0.gguf "$H/o/false/tiny.false.gguf"
echo hello >"$H/o/empty/README.md"
python3 tests/cli/hub_server.py "$H" "$TMP/port" "$TMP/log" &
server=$!
trap 'kill $server' EXIT
for _ in $(seq 100); do [ -e "$TMP/port" ] && break; sleep 0.1; done
HF_ENDPOINT=http://127.0.0.1:$(cat "$TMP/port")
export HF_ENDPOINT
show() {
    local code
    echo "\$ coppice $*"
    "$COPPICE" "$@" 2>&1 | sed "s|$TMP|TMP|g; s|127.0.0.1:[0-9]*|HUB|g"
    code=${PIPESTATUS[0]}
    [ "$code" -eq 0 ] || echo "exit $code"
}

echo "== a folder of safetensors"
show run -m o/tiny -p a
show pull o/tiny
(cd "$TMP/hub" && find . -type l | sort && cat models--o--tiny/refs/main && echo && ls models--o--tiny/blobs | wc -l)
show run -m o/tiny -p "the other" -n 4 --raw --no-packed | od -c | head -4
wc -l <"$TMP/log"
show pull o/tiny
tail -n +"$(($(wc -l <"$TMP/log")))" "$TMP/log"

echo "== one file of many; a broken connection goes on, a busy server is asked again"
show pull o/many
show pull o/many:q8_0
show info -m o/many | head -2
show pull o/many:Q4_0
grep Q4_0 "$TMP/log"
show pull o/many:sub/tiny-Q4_1.busy.gguf
show info -m o/many | head -2
show info -m o/many:q4_1 | head -2
show pull o/many:Q2_K

echo "== a model in several files"
show pull o/parts
show pull o/parts:Q4_0
ls "$TMP/hub/models--o--parts/blobs" | wc -l
show info -m o/parts:Q4_0 | sed -n 1,2p
show pull o/parts:tiny-Q4_0-00001-of-00002.gguf
show info -m o/parts:tiny-Q4_0-00002-of-00002.gguf

echo "== what was left of an interrupted fetch is used"
sha=$(sha256sum <"$H/o/many/tiny-Q8_0.gguf" | cut -c1-64)
blobs=$TMP/hub/models--o--many/blobs
head -c 20000 "$blobs/$sha" >"$blobs/$sha.incomplete"
rm "$blobs/$sha"
show pull o/many:q8_0
tail -1 "$TMP/log"

echo "== tokens, and what goes wrong"
show pull o/private
HF_TOKEN=secret show pull o/private
grep private "$TMP/log" | sed 's/ [^ ]* / /'
show pull o/false
ls "$TMP/hub/models--o--false/blobs"
show pull o/absent
show pull o/empty
show pull o/broken
show pull o/lying
show pull "o/tiny:../x"
show pull "o/a b"
HF_ENDPOINT=ftp://x show pull o/tiny
