# --lora: the same adapter from a GGUF file and from a PEFT folder, scales, several at once, what is refused.
. tests/cli/support.bash
A=tests/data/adapters
hash() { "$COPPICE" run -m "$M" --no-packed -p "the cat" -n 12 --json "$@" | grep logits_hash; }
plain=$(hash)
one=$(hash --lora $A/llama-a-all.gguf)
echo "one: $one"
[ "$one" != "$plain" ] || echo "an adapter that changes nothing"
[ "$(hash --lora $A/llama-a-all)" = "$one" ] || echo "PEFT folder: other bits than the same numbers in GGUF"
[ "$(hash --lora $A/llama-a-all/adapter_model.safetensors:1.0)" = "$one" ] || echo "PEFT file: other bits"
[ "$(hash --lora $A/llama-a-all.gguf --draft copy)" = "$one" ] || echo "drafting changed the text"
[ "$(hash --lora $A/llama-a-all.gguf --draft swift)" = "$one" ] || echo "drafting with the model itself changed the text"
[ "$(hash --lora $A/llama-a-all.gguf -t 3)" = "$one" ] || echo "threads changed the text"
echo "two: $(hash --lora $A/llama-a-all.gguf:0.75 --lora $A/llama-a-some:-1.25)"
"$COPPICE" logits -m "$M" --no-packed --tokens 30,189,53 --lora $A/llama-a-all.gguf:0.75 --lora $A/llama-a-some:-1.25 --top 1 --json | grep '"logit"'
"$COPPICE" perplexity -m "$M" --no-packed -f README.md --ctx 64 --chunks 2 --lora $A/llama-a-all --json | grep -c '"perplexity"'

refuse() { show run -m "$M" --no-packed -p a -n 1 --lora "$1"; }
refuse $A/llama-a-all.gguf:nan
refuse $A/llama-a-all.gguf:1e9
refuse :2
refuse $A/absent.gguf
refuse $A/lfm2-b.gguf
refuse "$M"
refuse tests/data
