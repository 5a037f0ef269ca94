# What -m may be, and what it may not.
. tests/cli/support.bash
mkdir "$TMP/one" "$TMP/none"
cp "$M" "$TMP/one/some.gguf"
[ "$("$COPPICE" run -m "$TMP/one" -p abc -n 4 | bytes)" = "$("$COPPICE" run -m "$M" -p abc -n 4 | bytes)" ] || echo "a folder: another text"
show run -m "$TMP/none" -p a
show run -m tests/data -p a | sed 's/holds [0-9]*/holds N/'
show run -m "$TMP/absent.gguf" -p a
show run -m smollm2-135n -p a
show run -m smollm2-135m -p a
show run -m LICENSE -p a
head -c 20000 "$M" >"$TMP/short.gguf"
head -c 900 "$M" >"$TMP/shorter.gguf"
: >"$TMP/empty.gguf"
for file in short shorter empty; do
    for command in "run -p a" "logits -p a" "tokenize -p a" "info" "perplexity -f LICENSE"; do
        show $command -m "$TMP/$file.gguf"
    done
done
sed 's/general.architecture/general.architectury/' "$M" >"$TMP/nameless.gguf"
show run -m "$TMP/nameless.gguf" -p a
show models
show models --json
