# One object with exactly the promised members, each on its line.
. tests/cli/support.bash
"$COPPICE" run -m "$M" -p abc -n 3 --json | grep -o '^ *"[a-z_]*":\|^[{}]'
