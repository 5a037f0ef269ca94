# Lines to vectors, with encoders and with decoders; errors name the line.
. tests/cli/support.bash
B=tests/data/tiny-bert.gguf
show embed -m $B -p "the cat"
printf 'the cat\nsat on the mat.\n' >"$TMP/lines"
show embed -m $B -f "$TMP/lines" | cut -c1-60
"$COPPICE" embed -m $B --no-packed --pooling mean <"$TMP/lines" | cut -c1-60
"$COPPICE" embed -m $B --pooling last --raw <"$TMP/lines" | cut -c1-60
"$COPPICE" embed -m tests/data/tiny-roberta.gguf <"$TMP/lines" | cut -c1-60
"$COPPICE" embed -m "$M" <"$TMP/lines" | cut -c1-60
for t in 1 2; do "$COPPICE" embed -m $B -t $t -f "$TMP/lines" | md5sum; done | uniq | wc -l
printf 'the cat\n%0200d\n' 0 >"$TMP/lines"
show embed -m $B -f "$TMP/lines" -c 9 | cut -c1-60
"$COPPICE" embed -m $B -f "$TMP/lines" -c 4 --truncate | cut -c1-30
printf 'the cat\nand so on and on\n' >"$TMP/lines"
show embed -m $B -f "$TMP/lines" -c 5 | cut -c1-60
show embed -m $B -p x --pooling middle
show embed -m $B -p ""
show run -m $B -p "the cat"
# Adapters: where they exist for the model they are in force, and another model's are refused.
A=tests/data/adapters
"$COPPICE" embed -m "$M" -p "the cat" --lora $A/llama-a-all.gguf | cut -c1-60
"$COPPICE" embed -m "$M" -p "the cat" --lora $A/llama-a-all.gguf:0 | cut -c1-60
show embed -m $B -p "the cat" --lora $A/llama-a-all.gguf
