. tests/cli/support.bash
F=tests/data/tiny-llama-a
show convert $F "$TMP/m.gguf" --type q8_0
show info "$TMP/m.gguf" | head -3
show convert $F "$TMP/m.gguf"
show convert $F "$TMP/m.gguf" --type bf16 --force
show info "$TMP/m.gguf" | head -3
show convert $F "$TMP/half" --type f16
ls "$TMP/half"
show info "$TMP/half" | sed -n 3p
show convert "$TMP/half" "$TMP/half.gguf"
show convert tests/data/tiny-q4_0.gguf "$TMP/x.gguf" --type q8_0
# A folder from a file: the files of a published model, in parts of a size; the same text.
show convert tests/data/tiny-llama-a.gguf "$TMP/folder"
ls "$TMP/folder"
cat "$TMP/folder/config.json" "$TMP/folder/tokenizer_config.json"
[ "$("$COPPICE" run -m "$TMP/folder" -p "the other" -n 8 --no-packed --json | grep logits_hash)" = "$("$COPPICE" run -m tests/data/tiny-llama-a.gguf -p "the other" -n 8 --no-packed --json | grep logits_hash)" ] && echo "the same logits"
show convert tests/data/tiny-mixtral-b.gguf "$TMP/parts" --shard 1 --type f32
show convert tests/data/tiny-bert.gguf "$TMP/bert"
show convert tests/data/tiny-llama-b.gguf "$TMP/b"
show convert tests/data/tiny-llama-b.gguf "$TMP/b" --no-tokenizer
ls "$TMP/b"
rm -r "$TMP"/{folder,parts,b}
# A vocabulary that GGUF's keys cannot say goes through a file as it is.
mkdir "$TMP/own"
cp $F/*.json $F/*.safetensors "$TMP/own"
sed -i '0,/"lstrip": false/s//"lstrip": true/' "$TMP/own/tokenizer.json"
show convert "$TMP/own" "$TMP/own.gguf"
show convert "$TMP/own.gguf" "$TMP/back"
for f in tokenizer.json tokenizer_config.json; do cmp "$TMP/own/$f" "$TMP/back/$f" && echo "the same $f"; done
# SentencePiece's own file in place of tokenizer.json.
rm "$TMP/own"/tokenizer*
cp tests/data/sentencepiece/llama-like.model "$TMP/own/tokenizer.model"
show convert "$TMP/own" "$TMP/own.gguf" --force
for m in own own.gguf; do "$COPPICE" tokenize -m "$TMP/$m" -p "the model writes" | md5sum; done | uniq | wc -l
rm -r "$TMP"/{own,own.gguf,back}
# Types of 256 a block: to floats and to the type, whose file opens and writes text.
show convert tests/data/tiny-q2_k.gguf "$TMP/floats.gguf" --type f32
for t in q2_k q3_k iq4_xs mxfp4; do
    show convert "$TMP/floats.gguf" "$TMP/$t.gguf" --type $t
    show info "$TMP/$t.gguf" | sed -n 3p
    "$COPPICE" run -m "$TMP/$t.gguf" -p "the other" -n 8 --no-packed --raw --temp 0 | wc -c | awk '{print ($1 > 0 ? "text" : "nothing")}'
    show convert "$TMP/$t.gguf" "$TMP/again.gguf" --force
    cmp "$TMP/$t.gguf" "$TMP/again.gguf" && echo "the same file"
done
rm "$TMP"/{floats,q2_k,q3_k,iq4_xs,mxfp4,again}.gguf
show convert $F "$TMP/x.gguf" --type q9
show convert $F "$TMP/x" --type q8_0
show convert $F "$TMP/absent/x.gguf"
show convert $F
# A disk that takes no more than so much: the file that was there stays, and nothing is left over.
before=$(sha256sum <"$TMP/m.gguf")
(trap '' XFSZ; ulimit -f 64; show convert $F "$TMP/m.gguf" --type f32 --force) | sed -E 's/[.][0-9]+[.]part/.N.part/'
(trap '' XFSZ; ulimit -f 64; show convert $F "$TMP/half" --type f32 --force) | sed -E 's/[.][0-9]+[.]part/.N.part/g'
[ "$before" = "$(sha256sum <"$TMP/m.gguf")" ] && echo "m.gguf is as it was"
ls "$TMP"
