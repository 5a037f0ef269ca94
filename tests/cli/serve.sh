# coppice serve over its endpoints, with a tiny model: replies whole and as streams, in all forms.
. tests/cli/support.bash
. tests/cli/serve_support.bash
start --draft none --metrics --ctx 512 --alias tiny
sed -E "s|$AT|AT|" "$TMP/said"
echo "-- the line it prints works as printed"
eval "$(sed -n 's/^try: curl/curl -s/p' "$TMP/said")" | grep -c '"object":"chat.completion"'

echo "-- what there is"
ask /health
ask /v1/models
ask /v1/models/tiny
ask /v1/models/other
ask /lora-adapters
ask /props | grep -o '"total_slots":4\|"model_alias":"tiny"\|"n_ctx":512'
ask /slots | grep -o '"is_processing":false' | wc -l
ask /metrics | grep -c -E '^(llamacpp|vllm|coppice):'

echo "-- words"
ask /tokenize '{"content": "hello", "with_pieces": true}'
ask /tokenize '{"content": "hello", "add_special": true}'
ask /detokenize '{"tokens": [104, 101]}'
ask /apply-template '{"messages": [{"role": "user", "content": "hi"}]}'
ask /v1/messages/count_tokens '{"messages": [{"role": "user", "content": "hi"}]}'

echo "-- the same text in every form"
say='"messages": [{"role": "user", "content": "hello"}], "max_tokens": 12, "temperature": 0.7, "seed": 3'
want=$(curl -s "$AT/v1/chat/completions" -d "{$say}" | sed -E 's/.*"content":"(([^"\\]|\\.)*)".*/\1/')
[ -n "$want" ] || echo "no text"
same() { [ "$2" = "$want" ] || printf '%s: %s\nexpected: %s\n' "$1" "$2" "$want"; }
same again "$(curl -s "$AT/v1/chat/completions" -d "{$say}" | sed -E 's/.*"content":"(([^"\\]|\\.)*)".*/\1/')"
same stream "$(curl -sN "$AT/v1/chat/completions" -d "{$say, \"stream\": true}" | joined)"
same drafted "$(curl -s "$AT/v1/chat/completions" -d "{$say, \"coppice\": {\"draft\": \"copy+recycle\"}}" | sed -E 's/.*"content":"(([^"\\]|\\.)*)".*/\1/')"
same logprobs "$(curl -s "$AT/v1/chat/completions" -d "{$say, \"logprobs\": true}" | sed -E 's/.*"role":"assistant","content":"(([^"\\]|\\.)*)".*/\1/')"
same messages "$(curl -s "$AT/v1/messages" -d "{$say}" | sed -E 's/.*"text":"(([^"\\]|\\.)*)".*/\1/')"
same "messages, stream" "$(curl -sN "$AT/v1/messages" -d "{$say, \"stream\": true}" | grep -a text_delta | joined)"
input='"input": "hello", "max_output_tokens": 12, "temperature": 0.7, "seed": 3'
same responses "$(curl -s "$AT/v1/responses" -d "{$input}" | sed -E 's/.*"type":"output_text","text":"(([^"\\]|\\.)*)".*/\1/')"
same "responses, stream" "$(curl -sN "$AT/v1/responses" -d "{$input, \"stream\": true}" | grep -a output_text.delta | grep -a data: | joined)"
prompt=$(curl -s "$AT/apply-template" -d '{"messages": [{"role": "user", "content": "hello"}]}' | sed -E 's/^\{"prompt":(.*)\}$/\1/')
text="\"prompt\": $prompt, \"max_tokens\": 12, \"temperature\": 0.7, \"seed\": 3"
same completions "$(curl -s "$AT/v1/completions" -d "{$text}" | sed -E 's/.*"text":"(([^"\\]|\\.)*)".*/\1/')"
same "completions, stream" "$(curl -sN "$AT/v1/completions" -d "{$text, \"stream\": true}" | joined)"
same completion "$(curl -s "$AT/completion" -d "{$text}" | sed -E 's/^\{"index":0,"content":"(([^"\\]|\\.)*)".*/\1/')"
same "completion, stream" "$(curl -sN "$AT/completion" -d "{$text, \"stream\": true}" | joined)"

echo "-- replies"
short='"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "temperature": 0'
ask /v1/chat/completions "{$short, \"logprobs\": true, \"top_logprobs\": 1}"
ask /v1/chat/completions "{$short, \"stream\": true, \"stream_options\": {\"include_usage\": true}}"
ask /v1/completions '{"prompt": ["a", [98, 99]], "n": 2, "max_tokens": 2, "seed": 1, "logprobs": 1, "stop": "zz"}'
ask /v1/completions '{"prompt": "abc", "echo": true, "max_tokens": 2, "temperature": 0, "logit_bias": {"120": 100}}'
ask /completion '{"prompt": "a", "n_predict": 2, "temperature": 0, "n_probs": 1, "return_tokens": true}'
ask /completion '{"prompt": "a", "n_predict": 1, "temperature": 0, "stream": true}'
ask /v1/messages "{$short, \"system\": [{\"type\": \"text\", \"text\": \"s\"}], \"stream\": true}"
ask /v1/responses '{"input": "a", "max_output_tokens": 2, "temperature": 0}'
ask /v1/embeddings '{"input": ["a", "b"], "dimensions": 2}'
ask /v1/embeddings '{"input": "a", "encoding_format": "base64", "dimensions": 2}'

echo "-- structure: said in every way"
text_of() { sed -E 's/.*"(content|text)":"(([^"\\]|\\.)*)".*/\2/'; }
schema='{"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "b": {"type": "boolean"}}, "required": ["a", "b"]}'
guided() { curl -s "$AT$1" -d "{$2, $3, \"max_tokens\": 60, \"temperature\": 0.9, \"seed\": 5}" | text_of | sed -E 's/\\[nt]| //g'; echo; }
m='"messages": [{"role": "user", "content": "a"}]' p='"prompt": "a"'
guided /v1/chat/completions "$m" "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"s\", \"strict\": true, \"schema\": $schema}}"
guided /v1/chat/completions "$m" "\"guided_json\": $schema"
guided /v1/chat/completions "$m" '"guided_choice": ["red", "green"]'
guided /v1/completions "$p" '"guided_regex": "[ab]{3}"'
guided /v1/completions "$p" '"structured_outputs": {"choice": ["one", "two"]}'
guided /completion "$p" "\"json_schema\": $schema"
curl -sN "$AT/v1/responses" -d "{\"input\": \"a\", \"stream\": true, \"temperature\": 0.9, \"seed\": 5, \"text\": {\"format\": {\"type\": \"json_schema\", \"name\": \"s\", \"schema\": $schema}}}" |
    grep -a output_text.delta | grep -a data: | joined | sed -E 's/\\[nt]| //g'
echo
ask /v1/completions '{"prompt": "a", "guided_regex": "(a"}'
ask /v1/completions '{"prompt": "a", "guided_choice": []}'
ask /v1/completions '{"prompt": "a", "guided_regex": "a", "guided_choice": ["b"]}'
ask /v1/completions '{"prompt": "a", "guided_json": {"type": "string", "format": 1}}'

echo "-- calls of tools, whole and in pieces, in three forms"
stop
echo '{% for m in messages %}{{ m.role }}:{{ m.content }} {% endfor %}{% if tools %}in <tool_call></tool_call>{% endif %}' >"$TMP/template"
start --draft none --ctx 512 --chat-template-file "$TMP/template"
parameters='{"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"], "additionalProperties": false}'
call='"tools": [{"type": "function", "function": {"name": "f", "parameters": '$parameters'}}], "tool_choice": "required", "parallel_tool_calls": false, "max_tokens": 100, "seed": 2'
calls() { grep -a -o -E '"(name|arguments|finish_reason|stop_reason|partial_json|delta|input)":("([^"\\]|\\.)+"|\{"a"[^}]*\})' | sed -E 's/\\[nt]| //g' | tr '\n' ' '; echo; }
pieces() { sed -n 's/^data: //p' | grep -a -o -E '"(arguments|partial_json|delta)":"([^"\\]|\\.)*"' | sed -E 's/^"[a-z_]+":"//; s/"$//; s/\\[nt]| //g' | tr -d '\n'; echo; }
curl -s "$AT/v1/chat/completions" -d "{$m, $call}" | calls
curl -sN "$AT/v1/chat/completions" -d "{$m, $call, \"stream\": true}" | pieces
call='"tools": [{"name": "f", "input_schema": '$parameters'}], "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}, "max_tokens": 100, "seed": 2'
curl -s "$AT/v1/messages" -d "{$m, $call}" | calls
curl -sN "$AT/v1/messages" -d "{$m, $call, \"stream\": true}" | pieces
call='"tools": [{"type": "function", "name": "f", "parameters": '$parameters'}], "tool_choice": "required", "parallel_tool_calls": false, "max_output_tokens": 100, "seed": 2'
curl -s "$AT/v1/responses" -d "{\"input\": \"a\", $call}" | sed 's/"tools":.*//' | calls
curl -sN "$AT/v1/responses" -d "{\"input\": \"a\", $call, \"stream\": true}" | grep -a arguments.delta | pieces
ask /v1/chat/completions "{$m, \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}], \"guided_regex\": \"a\"}"
ask /v1/chat/completions "{$m, \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}], \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"g\"}}}"
stop
