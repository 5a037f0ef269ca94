# Why a text ended: length, a stop string, a full context.
. tests/cli/support.bash
run() { "$COPPICE" run -m "$M" -p hello --json "$@" | grep -E '"(text|tokens|finish_reason)"'; }
run -n 8
run -n 8 --stop T
run -n 20 --stop nowhere --stop g
run -n 8 --stop 'gone'
run -n 0
run -n 40 --ctx 12
show run -m "$M" -p "longer than the context" --ctx 8
