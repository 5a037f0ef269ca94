# Text under a guide: the four kinds, drafted and not, watched, and what is refused.
. tests/cli/support.bash
go() { "$COPPICE" run -m "$M" --no-packed -p "the cat" -n 80 "$@"; }
cat >"$TMP/schema.json" <<'JSON'
{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "size": {"enum": ["small", "medium", "large"]},
 "count": {"type": "integer", "minimum": 3, "maximum": 17}}, "required": ["name", "size", "count"], "additionalProperties": false}
JSON
printf 'root ::= "cat" (" and " animal)+\nanimal ::= "dog" | "cow" | "cat"\n' >"$TMP/animals.gbnf"
printf 'start: "cat" (" and " ANIMAL)+\nANIMAL: /dog|cow|cat/\n' >"$TMP/animals.lark"

for guide in "--json-schema $TMP/schema.json" "--grammar $TMP/animals.gbnf" "--regex [a-f]{2,9}(ing|ed)" "--choice one|two|three"; do
    echo "${guide%% *}: texts of seven drafters, and of none"
    # shellcheck disable=SC2086  # options
    for draft in none auto copy recycle pool trigram model+copy; do go $guide --temp 0.9 --seed 5 --draft $draft --draft-model "$M" | cksum; done | sort -u | wc -l
done
go --json-schema "$TMP/schema.json" --temp 1.5 --seed 3 | python3 -c '
import json, sys
v = json.load(sys.stdin)
print(sorted(v), len(v["name"]) <= 12, v["size"] in ("small", "medium", "large"), 3 <= v["count"] <= 17)' || echo "skipped: guided: no python3"
go --grammar "$TMP/animals.gbnf" --seed 2 --temp 1 -n 200 | grep -cE '^cat( and (dog|cow|cat))+$'
go --grammar "$TMP/animals.lark" --seed 2 --temp 1 -n 200 | grep -cE '^cat( and (dog|cow|cat))+$'

# Watched: a guide's nodes have a name of their own.
go --json-schema "$TMP/schema.json" --trace "$TMP/trace.jsonl" --draft copy >/dev/null
grep -c '"guide"' "$TMP/trace.jsonl" | sed 's/[1-9][0-9]*/some steps/'
CLICOLOR_FORCE=1 go --json-schema "$TMP/schema.json" --show-draft >/dev/null && echo coloured

# Refused, with the reason.
show run -m "$M" --no-packed -p x --regex '(a' -n 9
show run -m "$M" --no-packed -p x --regex 'a{9}' -n 8
show run -m "$M" --no-packed -p x --regex a --choice a
show run -m "$M" --no-packed -p x --json-schema "$TMP/none.json"
echo '{"type": "objekt"}' >"$TMP/wrong.json"
show run -m "$M" --no-packed -p x --json-schema "$TMP/wrong.json"
echo '{"enum": ["yes"], "colour": "red"}' >"$TMP/more.json"
show run -m "$M" --no-packed -p x --json-schema "$TMP/more.json" -n 9
echo 'root ::= "a" missing' >"$TMP/wrong.gbnf"
show run -m "$M" --no-packed -p x --grammar "$TMP/wrong.gbnf"
