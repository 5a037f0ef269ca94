# Wrong words end with 2 and one line that says what would be right.
. tests/cli/support.bash
show
show rum
show frobnicate
show run --tempp 1
show run --thread 1
show run -q
show run --qwertyuiop
show run word
show run -m "$M" -p hello --json=yes
show run -m "$M" -p
for option in "-n -1" "-n 4194305" "-n x" "-n 1.5" "-n" "-t 1000" "-t -1" "--ctx 1" "--ctx 9999999" "--temp -1" "--temp 101" \
    "--temp nan" "--temp warm" "--top-k -1" "--top-p 1.1" "--top-p -0.1" "--min-p 2" "--repeat-penalty 0" "--frequency-penalty 101" \
    "--presence-penalty -101" "--penalty-window -1" "--seed -1" "--seed 1e3" "--seed 99999999999999999999" "--cpu mmx" "--cache q3" \
    "--draft nothing"; do
    show run -m "$M" -p hello $option
done
show run -m tests/data/tiny-gpt2-a.gguf -p hello --ctx 145
COPPICE_CPU=mmx show run -m "$M" -p hello
show logits -m "$M" -p a --top 1001
show logits -m "$M" --tokens 1,x
show logits -m "$M" --tokens 1,272
show logits -m "$M" --tokens ""
show perplexity -m "$M" -f LICENSE --ctx 7
show perplexity -m "$M" -f LICENSE --chunks -1
show pull
show pull smollm2-135n
show pull "$M"
show run -p hello
