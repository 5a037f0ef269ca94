# A store of text files, and a draft from it that leaves the text as it is.
. tests/cli/support.bash
mkdir -p "$TMP/texts/below"
printf 'the cat sat on the mat\n' >"$TMP/texts/one.txt"
printf 'the cat sat on the dog\nand a second line\n' >"$TMP/texts/below/two.txt"
printf 'never read\n' >"$TMP/texts/.hidden"
show index -m "$M" -o "$TMP/store" "$TMP/texts"
show index -m "$M" -o "$TMP/lines" "$TMP/texts/below/two.txt" --lines --json
show index -m "$M" -o "$TMP/few" "$TMP/texts" --tokens 10
show index -m "$M" -o "$TMP/store2" "$TMP/texts"
cmp "$TMP/store" "$TMP/store2" && echo "the same bytes again"
plain=$("$COPPICE" run -m "$M" -p "the cat" -n 20)
[ "$("$COPPICE" run -m "$M" -p "the cat" -n 20 --draft "retrieve:store=$TMP/store,least=1,nodes=20")" = "$plain" ] && echo "the same text"
show run -m "$M" -p x -n 2 --draft retrieve
show run -m "$M" -p x -n 2 --draft "retrieve:store=$TMP/none"
show run -m "$M" -p x -n 2 --draft "retrieve:store=$TMP/texts/one.txt"
show index -m "$M" -o "$TMP/store"
show index -m "$M" "$TMP/texts"
show index -m "$M" -o "$TMP/store" "$TMP/none"
show index -m "$M" -o "$TMP/no/folder" "$TMP/texts"
: >"$TMP/empty"
show index -m "$M" -o "$TMP/store" "$TMP/empty"
