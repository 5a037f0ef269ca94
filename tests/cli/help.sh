# Help of every command, on standard output, ending with 0.
. tests/cli/support.bash
show --version
show help
[ "$("$COPPICE" help)" = "$("$COPPICE" --help)" ] || echo "--help differs"
for command in $("$COPPICE" help | sed -n 's/^  coppice \([a-z]*\) .*/\1/p'); do show "$command" --help; done
show methods
show methods --json
