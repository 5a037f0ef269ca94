# coppice serve towards those who should not get in, ask too much or go away, and its end.
. tests/cli/support.bash
. tests/cli/serve_support.bash
mkdir "$TMP/slots"
printf 'first\nsecond key\n' >"$TMP/keys"
start --draft none --ctx 512 --alias tiny --api-key third --api-key-file "$TMP/keys" --cors http://page.example --max-body 4096 \
    --slot-save-path "$TMP/slots" --parallel 1 --queue 1 --verbose
chat='{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}'

echo "-- keys"
ask /v1/models
ask /v1/messages "$chat"
ask /completion "$chat"
ask /nosuch
ask /health
ask /v1/models "" -H "Authorization: Bearer firs"
ask /v1/models "" -H "Authorization: Bearer first" | grep -c tiny
ask /v1/models "" -H "authorization: bearer second key" | grep -c tiny
ask /v1/models "" -H "x-api-key: third" | grep -c tiny
cat "$TMP/log" "$TMP/said" | grep -c -E 'first|second|third'
key=(-H "x-api-key: third")

echo "-- methods and paths"
ask /nosuch "" "${key[@]}"
ask /v1/models "" "${key[@]}" -X DELETE
ask /v1/chat/completions "" "${key[@]}"
curl -s -D - -o /dev/null "${key[@]}" -X PUT "$AT/v1/completions" | grep -i -E '^(HTTP|allow)' | tr -d '\r'

echo "-- pages of other origins"
cors() { curl -s -D - -o /dev/null "$@" | tr -d '\r' | grep -i -E '^(HTTP|access-control)'; }
cors -X OPTIONS -H "Origin: http://page.example" -H "Access-Control-Request-Method: POST" -H "Access-Control-Request-Headers: authorization,content-type" "$AT/v1/chat/completions"
cors -X OPTIONS -H "Origin: http://other.example" "$AT/v1/chat/completions"
cors "${key[@]}" -H "Origin: http://page.example" "$AT/v1/models"

echo "-- questions that are wrong"
wrong() { ask /v1/chat/completions "$1" "${key[@]}" | tail -n +2; }
for body in '' '[]' '{' '{"messages": 1}' '{"messages": []}' '{"messages": [1]}' '{"messages": [{"role": "x", "content": ""}]}' \
    '{"messages": [{"role": "user"}]}' '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}'; do
    wrong "$body"
done
with() { wrong "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], $1}"; }
for field in '"temperature": -1' '"temperature": "hot"' '"temperature": 1e999' '"top_p": 2' '"top_k": -2' '"min_p": 1.1' '"n": 0' '"n": 1000' '"seed": "x"' \
    '"max_tokens": -2' '"stop": 1' '"stop": ["a", 1]' '"logit_bias": {"99999": 1}' '"logit_bias": 1' '"top_logprobs": 2' '"logprobs": true, "top_logprobs": 21' \
    '"stream": 1' '"stream_options": 1' '"id_slot": 7' '"id_slot": 64' '"samplers": ["x"]' '"lora": [{"id": 0}]' '"coppice": 1' '"coppice": {"draft": "nosuch"}' \
    '"coppice": {"draft": "retrieve:store=x"}' '"coppice": {"verify": "nosuch"}' '"tools": 1' '"tool_choice": "required"' '"response_format": {"type": "x"}' \
    '"presence_penalty": 101' '"repeat_penalty": 0'; do
    echo "$field: $(with "$field")"
done
with "\"stop\": \"$(printf 'x%.0s' $(seq 300))\""
echo "nested: $(wrong "$(printf '[%.0s' $(seq 100))")"
ask /v1/chat/completions "{\"messages\": [{\"role\": \"user\", \"content\": \"$(printf 'x%.0s' $(seq 600))\"}]}" "${key[@]}" | tail -1
ask /v1/responses '{"input": "a", "previous_response_id": "resp_1"}' "${key[@]}"
ask /infill '{"input_prefix": "a"}' "${key[@]}"
ask /v1/embeddings '{"input": []}' "${key[@]}"
ask /v1/embeddings '{"input": "a", "dimensions": 9999}' "${key[@]}"
ask /metrics "" "${key[@]}"

echo "-- too long"
head -c 5000 /dev/zero | tr '\0' ' ' >"$TMP/long"
ask /v1/completions "@$TMP/long" "${key[@]}"
ask /v1/completions "@$TMP/long" "${key[@]}" -H "Transfer-Encoding: chunked"
head -c 100000 /dev/zero | tr '\0' ' ' >"$TMP/longer"
ask /v1/completions "@$TMP/longer" "${key[@]}"
head -c 1000000 /dev/zero | tr '\0' 'x' | sed 's/^/x-long: /' >"$TMP/header"
ask /v1/models "" -H "@$TMP/header"

echo "-- sequences in files"
ask '/slots/0?action=save' '{"filename": "a.bin"}' "${key[@]}"
ask /completion '{"prompt": "abc", "n_predict": 4}' "${key[@]}" | grep -c '"stop":true'
ask '/slots/0?action=save' '{"filename": "a.bin"}' "${key[@]}" | sed -E 's/"n_(saved|written)":[0-9]+/"n_\1":N/g'
ask '/slots/0?action=restore' '{"filename": "a.bin"}' "${key[@]}" | sed -E 's/"n_(restored|read)":[0-9]+/"n_\1":N/g'
for name in ../a.bin a/../../b /etc/passwd .hidden '' 'a\u002f..' "$(printf 'x%.0s' $(seq 200))"; do
    ask '/slots/0?action=save' "{\"filename\": \"$name\"}" "${key[@]}" | tail -1
done
find "$TMP/slots" -type f | wc -l
ask '/slots/0?action=restore' '{"filename": "nosuch"}' "${key[@]}"
echo junk >"$TMP/slots/junk"
ask '/slots/0?action=restore' '{"filename": "junk"}' "${key[@]}"
ask '/slots/9?action=erase' '{}' "${key[@]}"
ask '/slots/..%2f0?action=erase' '{}' "${key[@]}"
ask '/slots/0?action=x' '{}' "${key[@]}"
ask '/slots/0?action=erase' '{}' "${key[@]}" | grep -c n_erased

echo "-- one runs, one waits, the third hears when to come back"
endless='{"prompt": "a", "n_predict": 400, "ignore_eos": true, "stream": true, "temperature": 0}'
curl -s -D - "${key[@]}" "$AT/v1/completions" -d '{"prompt": "a", "max_tokens": 400, "ignore_eos": true, "n": 8}' | tr -d '\r' |
    grep -a -E -i '^(HTTP|\{)|^retry-after: [0-9]+$' | sed -E 's/^(retry-after): [0-9]+$/\1: N/i'

echo "-- those who go away hold nothing up"
for _ in $(seq 12); do timeout 0.05 curl -sN "${key[@]}" "$AT/completion" -d "$endless" >/dev/null; done
for _ in $(seq 5); do timeout 0.05 curl -s "${key[@]}" "$AT/completion" -d "${endless/true, \"temp/false, \"temp}" >/dev/null; done
exec 3<>"/dev/tcp/${AT#http://127.0.0.1:}" 2>/dev/null
sleep 0.3
ask /v1/completions '{"prompt": "a", "max_tokens": 1, "temperature": 0}' "${key[@]}" | tail -1 | grep -c '"finish_reason":"length"'
ask /slots "" "${key[@]}" | grep -o '"is_processing":[a-z]*'

echo "-- a stop lets a running reply end"
curl -sN "${key[@]}" "$AT/completion" -d "$endless" >"$TMP/last" & LAST=$!
sleep 0.2
stop
wait $LAST && tail -2 "$TMP/last" | grep -a -o '"stop":true'

echo "-- a Unix socket"
"$COPPICE" serve -m "$M" -t 1 --no-packed --draft none --unix "$TMP/socket" >"$TMP/said" 2>"$TMP/log" &
SERVER=$!
for _ in $(seq 50); do [ -S "$TMP/socket" ] && break; sleep 0.1; done
sleep 0.3
head -1 "$TMP/said" | sed "s|$TMP|TMP|"
curl -s --unix-socket "$TMP/socket" http://localhost/health
echo
eval "$(sed -n 's/^try: curl/curl -s/p' "$TMP/said")" | grep -c '"object":"chat.completion"'
stat -c %a "$TMP/socket"
show serve -m "$M" --no-packed --unix "$TMP/socket"
stop
[ ! -e "$TMP/socket" ] || echo "the socket is still there"

echo "-- wrong words"
show serve
show serve -m "$M" --no-packed --port 70000
show serve -m "$M" --no-packed --port 0 --api-key ""
show serve -m "$M" --no-packed --port 0 --api-key-file "$TMP/absent"
show serve -m "$M" --no-packed --port 0 --tls-cert "$TMP/absent"
show serve -m "$M" --no-packed --port 0 --lora "$TMP/absent"
show serve -m "$M" --no-packed --port 0 --chat-template-file "$TMP/absent"
show serve -m "$M" --no-packed --port 0 --draft nosuch
