# Sourced by tests/cli/serve*.sh behind support.bash: a server on a free port, and questions to it.
[ -x "$(command -v curl)" ] || { echo "skipped: no curl"; exit 0; }

# start OPTIONS: a server whose address is AT; it ends with the test.
start() {
    : >"$TMP/said"
    "$COPPICE" serve -m "$M" -t 1 --no-packed --port 0 "$@" >"$TMP/said" 2>"$TMP/log" &
    SERVER=$!
    trap 'kill -9 $SERVER 2>/dev/null' EXIT
    for _ in $(seq 100); do
        AT=$(sed -n 's/^listening at //p' "$TMP/said")
        [ -n "$AT" ] && return
        kill -0 $SERVER 2>/dev/null || break
        sleep 0.1
    done
    echo "the server does not start"
    cat "$TMP/log"
    exit 1
}
stop() {
    kill -TERM $SERVER
    wait $SERVER
    local code=$?
    [ $code -eq 0 ] || echo "the server ends with $code"
}
# What differs from run to run, out of a reply.
plain() {
    sed -E 's/"(id|item_id)":"(chatcmpl-|cmpl-|msg_|resp_)[0-9a-f]+/"\1":"\2ID/g; s/"created(_at)?":[0-9]+/"created\1":T/g
            s/"([a-z_]*(_ms|_second))":[-0-9.e+]+/"\1":T/g; s/"id_slot":[0-9]+/"id_slot":S/g; s/"slot":[0-9]+/"slot":S/g
            s/"(rows|cache_n|prompt_n|cached_tokens|tokens_cached|cache_read_input_tokens|input_tokens|seed|drafted|steps|draft_n|draft_n_accepted|accepted|accepted_prediction_tokens|rejected_prediction_tokens)":[0-9]+/"\1":N/g
            s/"system_fingerprint":"[^"]*"/"system_fingerprint":"V"/g; s/"accepted_by_depth":\[[0-9,]*\]/"accepted_by_depth":[N]/g'
}
# ask PATH [BODY [CURL OPTIONS]]: the question, the reply and its code.
ask() {
    echo "> $1 ${2:-}" | sed "s|$TMP|TMP|g"
    curl -s -m 20 -w ' %{http_code}\n' ${2:+-d "$2"} "${@:3}" "$AT$1" | plain
}
# The text of a stream in OpenAI's form, joined.
joined() { sed -n 's/^data: //p' | grep -a -o -E '"(content|text|delta)":"([^"\\]|\\.)*"' | sed -E 's/^"[a-z]+":"//; s/"$//' | tr -d '\n'; }
