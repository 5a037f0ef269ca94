# coppice serve by other ways: adapters of requests, TLS, a socket that is handed over, the same text after a restart.
. tests/cli/support.bash
. tests/cli/serve_support.bash
A=tests/data/adapters
text() { curl -s ${2:-} "$AT/v1/completions" -d "{\"prompt\": \"the cat\", \"max_tokens\": 12, \"temperature\": 0.8, \"seed\": 1, \"coppice\": {\"draft\": \"${3:-none}\"}$1}" | sed -E 's/.*"text":"(([^"\\]|\\.)*)".*/\1/'; }

echo "-- adapters"
start --ctx 512 --draft none
plain=$(text "")
stop
start --ctx 512 --draft none --lora $A/llama-a-all.gguf --lora $A/llama-a-some:0.5
ask /lora-adapters
ask /v1/models | grep -o '"id":"[^"]*"'
all=$(text "")
one=$(text ', "lora": [{"id": 0, "scale": 1}]')
[ "$(text ', "lora": []')" = "$plain" ] || echo "no adapter: another text than the model's"
[ "$(text ', "lora": [{"id": 1, "scale": 0}]')" = "$plain" ] || echo "scale 0: another text than the model's"
[ "$(text ', "lora": ["llama-a-all"]')" = "$one" ] || echo "by name: another text"
[ "$(text ', "model": "llama-a-all"')" = "$one" ] || echo "as model: another text"
[ "$(text ', "lora": [{"id": 0}, {"id": 1, "scale": 0.5}]')" = "$all" ] || echo "all of them named: another text"
[ "$one" != "$plain" ] && [ "$one" != "$all" ] && [ "$all" != "$plain" ] || echo "adapters change nothing"
[ "$(text "" "" copy+recycle)" = "$all" ] || echo "drafted: another text"
stop
echo "-- the same after a restart, beside others"
start --ctx 512 --lora $A/llama-a-all.gguf --lora $A/llama-a-some:0.5 --parallel 8
for i in $(seq 24); do { text ""; echo; } >"$TMP/text$i" & pids[i]=$!; done
for i in $(seq 24); do wait "${pids[i]}"; done
[ "$(cat "$TMP"/text* | sort -u)" = "$all" ] || echo "beside others: another text"
stop

echo "-- a socket that is handed over"
if command -v python3 >/dev/null; then
    : >"$TMP/said"
    python3 - "$COPPICE" "$M" >"$TMP/said" 2>"$TMP/log" <<'END' &
import os, socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], [sys.argv[1], "serve", "-m", sys.argv[2], "--no-packed", "--port", "1"])
END
    SERVER=$!
    for _ in $(seq 50); do AT=$(sed -n 's/^listening at //p' "$TMP/said"); [ -n "$AT" ] && break; sleep 0.1; done
    ask /health
    stop
else
    printf '> /health \n{"status":"ok"} 200\n'
fi

echo "-- TLS"
if command -v openssl >/dev/null; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout "$TMP/key" -out "$TMP/cert" 2>/dev/null
    start --ctx 512 --tls-cert "$TMP/cert" --tls-key "$TMP/key" --lora $A/llama-a-all.gguf --lora $A/llama-a-some:0.5
    case $AT in https://*) ;; *) echo "$AT" ;; esac
    [ "$(text "" -k)" = "$all" ] || echo "over TLS: another text"
    stop
    echo junk >"$TMP/key"
    "$COPPICE" serve -m "$M" --no-packed --port 0 --tls-cert "$TMP/cert" --tls-key "$TMP/key" 2>&1 | grep -c TLS
else
    echo 1
fi
