# Clients that hang up, read slowly, say nothing or mean harm, beside a question whose answer must stay the same.
. tests/cli/support.bash
. tests/cli/serve_support.bash
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 0; }
start --ctx 512 --queue 16 --draft copy
python3 tests/clients/stress.py "$AT" --rounds 4 --json 800 --pid $SERVER
stop
