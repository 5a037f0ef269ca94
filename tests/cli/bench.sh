# Members of what bench prints for programs; the figures themselves are not compared.
. tests/cli/support.bash
members() { grep -o '^ *"[a-z_0-9]*":' | sort -u | tr -d ' \n'; echo; }
"$COPPICE" bench limits --rounds 1 --json | members
"$COPPICE" bench kernel --type q4_0,q6_k --widths 1,8 -k 512 --rows 64 --rounds 1 --json | members
"$COPPICE" bench kernel --type q4_0,q6_k --widths 1,8 -k 512 --rows 64 --rounds 1 --json | grep -c '"gbps"'
for what in verify prefill decode load; do "$COPPICE" bench $what -m "$M" -c 128 -n 8 --rounds 1 --json | members; done
show bench nonsense
show bench
show bench kernel --type q9
show bench kernel --widths 0
