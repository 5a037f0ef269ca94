# bench spec: prompts in every form, methods with options, what is kept and gone on with, the plot; no times.
. tests/cli/support.bash
d=$TMP/data
mkdir "$d"
cat >"$d/question.jsonl" <<'END'
{"question_id": 81, "category": "writing", "turns": ["one two one two", "again, one two one two"]}
{"question_id": 82, "category": "rag", "turns": ["abc abc abc"]}

{"question_id": 83, "category": "rag", "turns": ["xyz xyz"]}
{"question_id": 84, "category": "rag", "turns": ["\u00e9\u00e9 <b>&"]}
END
echo '{"question": "How many?", "answer": "4"}' >"$d/gsm.jsonl"
echo '{"task_id": "HumanEval/0", "prompt": "def f(a, b):", "entry_point": "f"}' >"$d/code.jsonl"
echo '{"prompt": "Summarise: a a a", "completion": "a"}' >"$d/news.jsonl"
printf 'first, first, first\nline\n \nsecond second\n\n\n\n' >"$d/words.txt"

spec() { "$COPPICE" bench spec -m "$M" --no-packed -n 12 --raw "$@"; }
# Members of the rows that say nothing of time.
rows() { grep -E '^  *"(task|method|lossless|equal|prompts|tokens)":' | tr -d '" \n' | sed 's/task:/\n/g; s/method://g'; echo; }
spec --data "$d/question.jsonl" --data "$d/gsm.jsonl" --data "$d/code.jsonl" --data "$d/news.jsonl" --data "$d/words.txt" \
    --methods 'copy:depth=3,order=2,copy+copy:order=1@goodput,none@@coupled,copy:order=1@@relaxed:rank=1000,gap=100' --json >"$TMP/all.json" || echo "exit $?"
rows <"$TMP/all.json"
grep -o '^ *"[a-z_]*":' "$TMP/all.json" | sort -u | tr -d ' \n'; echo
spec --data talk="$d/question.jsonl" --limit 2 --by-turn --temp 0.9 --seed 5 --methods copy --rounds 2 --json | rows

# So many in all, evenly over the tasks; the tokens that plain decoding began from are kept.
spec --data "$d/question.jsonl" --data "$d/words.txt" --total 4 -n 2 --methods copy --resume "$TMP/asked" --json | rows
sed -n 2p "$TMP/asked" | grep -o '"asked":.*'

# All of the table: whatever it holds, each text is plain's.
spec --data "$d/words.txt" --methods all --json >"$TMP/all.json" || echo "exit $?"
grep -c '"equal": false' "$TMP/all.json"
for name in $("$COPPICE" methods | sed -n 's/^draft *\([a-z_]*\) .*/\1/p') auto; do
    grep -q "\"method\": \"$name\"" "$TMP/all.json" || echo "no row of $name"
done

# What was measured is kept; the same command goes on, also behind a line that was cut off.
kept() { spec --data "$d/question.jsonl" --methods copy --resume "$TMP/kept" "$@" 2>&1 | sed "s|$TMP|TMP|g"; }
kept | tail -n +2 >"$TMP/first"
wc -l <"$TMP/kept"
kept | tail -n +2 | cmp - "$TMP/first"
truncate -s -9 "$TMP/kept"
kept >"$TMP/second"
wc -l <"$TMP/kept"
grep -c same "$TMP/second"
kept --seed 2
kept --limit 1
cp "$TMP/kept" "$TMP/good"
sed -i '3s/"tokens":12/"tokens":"12"/' "$TMP/kept"; kept; cp "$TMP/good" "$TMP/kept"
sed -i '3s/"prompt":1/"prompt":9/' "$TMP/kept"; kept; cp "$TMP/good" "$TMP/kept"
sed -i '4s/.*/nonsense/' "$TMP/kept"; kept; cp "$TMP/good" "$TMP/kept"
sed -i '3p' "$TMP/kept"; kept
echo 'a text of another kind' >"$TMP/kept"; kept

# An interrupt ends it with 130, and nothing of what was done is lost.
"$COPPICE" bench spec -m "$M" --no-packed --raw -n 200 --ctx 400 --rounds 40 --data "$d/question.jsonl" --methods copy --resume "$TMP/long" >"$TMP/out" 2>"$TMP/said" &
pid=$!
for _ in $(seq 200); do [ "$(wc -l <"$TMP/long" 2>/dev/null || echo 0)" -ge 2 ] && break; sleep 0.05; done
kill -TERM $pid
wait $pid
echo "exit $?"
sed "s|$TMP|TMP|g" "$TMP/said"
"$COPPICE" bench spec -m "$M" --no-packed --raw -n 200 --ctx 400 --rounds 40 --data "$d/question.jsonl" --methods copy --resume "$TMP/long" | grep -c same

# The plot holds a bar per task and method, a colour patch per method, the paper.
spec --data '<&">'="$d/words.txt" --data b="$d/gsm.jsonl" --methods copy,none --svg "$TMP/plot.svg" >/dev/null
grep -o '<rect' "$TMP/plot.svg" | wc -l
grep -c '&lt;&amp;&quot;&gt;, copy: ' "$TMP/plot.svg"
grep -v '://www.w3.org' "$TMP/plot.svg" | grep -c 'http'

# Wrong use, and files that are none.
wrong() { show bench spec -m "$M" --no-packed "$@"; }
wrong
wrong --data "$TMP/absent"
wrong --data "$d/words.txt" --methods nonsense
wrong --data "$d/words.txt" --methods copy,copy
wrong --data "$d/words.txt" --methods copy:depth=900
wrong --data "$d/words.txt" --methods copy@nonsense
wrong --data "$d/words.txt" --methods copy@@nonsense
wrong --data "$d/words.txt" --methods ,
wrong --data "$d/words.txt" --ctx 20 -n 19
wrong --data "$d/words.txt" --svg "$TMP/no/plot.svg"
wrong --data "$d/words.txt" --resume "$TMP/no/kept"
: >"$d/empty.txt"; wrong --data "$d/empty.txt"
: >"$d/empty.jsonl"; wrong --data "$d/empty.jsonl"
printf 'a\0b' >"$d/zero.txt"; wrong --data "$d/zero.txt"
bad() { printf '{"prompt": "fine"}\n%s\n' "$1" >"$d/bad.jsonl"; wrong --data "$d/bad.jsonl"; }
bad '[]'
bad '{"prompt": 3}'
bad '{"turns": []}'
bad '{"turns": ["a", 4]}'
bad '{"turns": ["1","2","3","4","5","6","7","8","9"]}'
bad '{"text": "a"}'
bad '{"prompt": ""}'
bad '{"prompt": "a", "category": ""}'
bad '{"prompt": "cut'
bad "{\"prompt\": $(printf '[%.0s' $(seq 20))"
