. tests/cli/support.bash
show perplexity -m "$M" -f LICENSE --ctx 64
show perplexity -m "$M" -f LICENSE --ctx 64 --chunks 2 --json
"$COPPICE" perplexity -m "$M" -f - --ctx 64 <LICENSE
show perplexity -m "$M" -f LICENSE --ctx 100000
show perplexity -m "$M"
