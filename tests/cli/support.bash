# Sourced by tests/cli/*.sh. COPPICE: the command; TMP: a folder of the test's own; both from tools/run_cli_tests.
M=tests/data/tiny-llama-a.gguf

# A transcript: the words, what the command prints on either stream, and how it ends when not with 0.
show() {
    local code
    echo "\$ coppice $*" | sed "s|$TMP|TMP|g"
    "$COPPICE" "$@" 2>&1 | sed "s|$TMP|TMP|g"
    code=${PIPESTATUS[0]}
    [ "$code" -eq 0 ] || echo "exit $code"
}
# Bytes that may not be text, in hexadecimal.
bytes() { od -An -v -tx1 | tr -d '\n'; echo; }
# Times and what depends on them, out of a JSON object.
timeless() { sed -E 's/("[a-z_]*(seconds|_per_s)": )[-0-9.e+]*/\1T/'; }
