# Text to ids and back, whole and by lines.
. tests/cli/support.bash
show tokenize -m "$M" -p "hello world"
show tokenize -m "$M" -p "hello world" --json
show tokenize -m "$M" -p ""
printf 'one\n\ntwo three\nlast' >"$TMP/text"
show tokenize -m "$M" -f "$TMP/text"
show tokenize -m "$M" -f "$TMP/text" --lines
show tokenize -m "$M" -f "$TMP/text" --lines --json | tr -d ' \n'; echo
printf 'one\n' | "$COPPICE" tokenize -m "$M" --lines
show tokenize -m "$M" -p "a" --special
for text in "hello world" $'two\nlines' "größer als 春眠" "<s> not special </s>"; do
    back=$("$COPPICE" tokenize -m "$M" -p "$text" | "$COPPICE" detokenize -m "$M")
    [ "$back" = "$text" ] || echo "not the same: $text"
done
head -c 3000 /bin/sh >"$TMP/binary"
"$COPPICE" tokenize -m "$M" -f "$TMP/binary" | "$COPPICE" detokenize -m "$M" | cmp - "$TMP/binary"
show detokenize -m "$M" -p 104,101,108,108,111; echo
show detokenize -m "$M" -p "104 101" --json
show detokenize -m "$M" -p "104,nine"
show detokenize -m "$M" -p 272
show detokenize -m "$M" -p -1
