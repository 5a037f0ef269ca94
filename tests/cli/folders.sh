. tests/cli/support.bash
F=tests/data/tiny-llama-a
show info $F | head -3
show run -m $F -p "the other" -n 6 --no-packed --raw | od -c | head -5
"$COPPICE" run -m $F.gguf -p "the other" -n 6 --no-packed --raw | cmp - <("$COPPICE" run -m $F -p "the other" -n 6 --no-packed --raw) && echo "the file gives the same text"
show tokenize -m $F -p "the other 12<|im_end|>" --special
show logits -m $F --tokens 1,2,3 --top 1 --no-packed | tail -12
# The hub's cache: a folder of one model, with the commit's name in refs/main.
mkdir -p "$TMP/models--o--tiny/snapshots/abc" "$TMP/models--o--tiny/refs"
cp $F/*.json $F/*.safetensors "$TMP/models--o--tiny/snapshots/abc"
echo -n abc >"$TMP/models--o--tiny/refs/main"
show info "$TMP/models--o--tiny" | head -2
show info "$TMP/models--o--tiny/snapshots/abc" | head -2
# What is not right is said in one line that names the file.
mkdir "$TMP/bad"
cp $F/*.json $F/*.safetensors "$TMP/bad"
change() { cp $F/config.json "$TMP/bad"; sed -i "$1" "$TMP/bad/config.json"; show info "$TMP/bad"; }
change 's/"llama"/"mamba"/'
change 's/"num_hidden_layers": 2/"num_hidden_layers": 3/'; show run -m "$TMP/bad" -p a
change 's/"num_hidden_layers": 2/"num_hidden_layers": 1/'
change 's/"num_attention_heads": 4/"num_attention_heads": "4"/'
change 's/"hidden_act": "silu"/"hidden_act": "relu"/'
change 's/"rope_type": "llama3"/"rope_type": "dynamic"/'
change 's/"tie_word_embeddings": true/"tie_word_embeddings": false/'
change 's/"model_type"/"quantization_config": {"quant_method": "gptq"}, "model_type"/'
change '1d'
rm "$TMP/bad/model-00002-of-00002.safetensors"
change ''
rm "$TMP/bad/model.safetensors.index.json"
change ''
