. tests/cli/support.bash
show info "$M"
show info "$M" --tensors | tail -3
show info tests/data/tiny-gemma3-a.gguf --json
show info "$M" --json --keys | grep -c '"'
sed s/llama/mamba/g tests/data/tiny-llama-b.gguf >"$TMP/mamba.gguf"
show info "$TMP/mamba.gguf" | head -2
show run -m "$TMP/mamba.gguf" -p a | sed 's/: llama, .*, starcoder2.*;/: ...;/'
for family in gemma2 granite olmo2 smollm3 gpt2 starcoder starcoder2 phi3; do show info tests/data/tiny-$family-a.gguf | head -2; done
show info LICENSE
show info "$TMP/absent.gguf"
show info
