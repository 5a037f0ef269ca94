# Conversations render with the model's template, or with one of a file, to text or tokens.
. tests/cli/support.bash
cat >"$TMP/chat.json" <<'JSON'
{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße & <b>"}],
 "tools": [{"name": "clock"}], "add_generation_prompt": true, "mood": "calm"}
JSON
printf '%s\n' '{%- for m in messages %}<{{ m.role }}>{{ m.content }}' '{% endfor %}{{ tools | tojson }} {{ mood }} {{ strftime_now("%d %b %Y %H:%M") }}' \
    '{% if add_generation_prompt %}<assistant>{% endif %}' >"$TMP/t.jinja"
show template --template "$TMP/t.jinja" -f "$TMP/chat.json" --now 2026-07-04T15:09:26
show template --template "$TMP/t.jinja" --now 2026-07-04 <<<'[{"role": "user", "content": "a list alone"}]'
show template -m "$M" --template "$TMP/t.jinja" --now 2026-07-04 --tokens <<<'[{"role": "user", "content": "x"}]'
show template -m "$M" --template "$TMP/t.jinja" --now 2026-07-04 --json <<<'{"messages": [{"role": "user", "content": "x"}]}'
show template -m "$M" --template "$TMP/t.jinja" --now 2026-07-04 --answer <<<'{"messages": [{"role": "user", "content": "x"}], "mood": null}'
show template -m "$M" -f "$TMP/chat.json"
show template -f "$TMP/chat.json"
show template --template "$TMP/absent" -f "$TMP/chat.json"
show template --template "$TMP/t.jinja" -f "$TMP/chat.json" --now yesterday
show template --template "$TMP/t.jinja" <<<'{"messages": 1}'
show template --template "$TMP/t.jinja" <<<'{"messages": [}'
printf '{%% if x %%}\n{{ messages }}' >"$TMP/broken.jinja"
show template --template "$TMP/broken.jinja" -f "$TMP/chat.json"
printf '\n{{ raise_exception("system is not for me") if messages[0].role == "system" }}' >"$TMP/refuses.jinja"
show template --template "$TMP/refuses.jinja" -f "$TMP/chat.json"
printf '{%% for i in range(99999) %%}{%% for j in range(99999) %%}{%% endfor %%}{%% endfor %%}' >"$TMP/endless.jinja"
show template --template "$TMP/endless.jinja" -f "$TMP/chat.json"
