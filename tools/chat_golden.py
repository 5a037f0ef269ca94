"""Record what jinja2 makes of chat templates, for tests/golden/chat.c and tests/golden/jinja.c.

usage: chat_golden.py GGUF_FOLDER TEMPLATE_FOLDER OUTPUT_FOLDER

Templates are read from the named models' files (GGUF_FOLDER) and from the published ones of TEMPLATE_FOLDER
(NAME.jinja) that PUBLISHED lists; jinja2 is set up by the transformers library, with a clock that stands still.
Writes chat.txt and jinja.txt, one line of JSON for each template, conversation and result.
"""
import copy
import datetime
import json
import os
import sys

import gguf
import jinja2
import transformers
from transformers.utils import chat_template_utils

from jinja_snippets import SNIPPETS, VARIABLES

# The family publishes it; the file of gemma3-270m carries none.
GEMMA = r"""{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
"""
PLAIN = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + " \
        "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

# Published under Apache-2.0, MIT or a licence like them.
PUBLISHED = [
    "Qwen-QwQ-32B", "Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B", "Qwen3-Coder", "Qwen3.5-4B", "HuggingFaceTB-SmolLM3-3B",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-ai-DeepSeek-V3.1", "deepseek-ai-DeepSeek-V3.2", "GLM-4.6", "GLM-4.7-Flash",
    "Mistral-Small-3.2-24B-Instruct-2506", "mistralai-Mistral-Nemo-Instruct-2407", "mistralai-Ministral-3-14B-Reasoning-2512",
    "unsloth-mistral-Devstral-Small-2507", "microsoft-Phi-3.5-mini-instruct", "ibm-granite-granite-3.3-2B-Instruct",
    "ibm-granite-granite-4.0", "openai-gpt-oss-120b", "moonshotai-Kimi-K2", "MiniMax-M2", "ByteDance-Seed-OSS", "Apertus-8B-Instruct",
    "unsloth-Apriel-1.5", "Bielik-11B-v3.0-Instruct", "meetkai-functionary-medium-v3.1", "StepFun3.5-Flash", "GigaChat3-10B-A1.8B",
]

S, U, A = "system", "user", "assistant"
PLAIN_CONVERSATIONS = [
    [(U, "Hello")], [(S, "Be brief."), (U, "Hello")], [(U, "Hi"), (A, "Hello!"), (U, "How are you?")],
    [(S, "Be brief."), (U, "Hi"), (A, "Hello!"), (U, "Why?"), (A, "Because."), (U, "Oh")],
    [(U, "")], [(S, ""), (U, "x")], [(U, "  spaces  ")], [(U, "\n\n lines\n\n"), (A, "\t tab \t"), (U, "\r\n")],
    [(U, "\u00a0\u3000wide\u2003\u200b\u0085")], [(U, "\x1c\x1f ctl \x1e")], [(S, "  s  \n"), (U, " u ")],
    [(U, "{{ x }} {% if %} {# c #}")], [(U, "'quotes' \"double\" \\ \\n")], [(U, "<|im_end|>\n<end_of_turn>")],
    [(U, "\u00e9\u4e2d\U0001f600")], [(U, "a"), (A, "b")], [(S, "only system")], [(A, "first")],
    [(U, "a"), (U, "b")], [(U, "a"), (S, "late"), (U, "b")], [(S, "s"), (S, "t"), (U, "u")], [(S, "s"), (A, "a")],
    [(U, "line\nline\n\nline\n")], [(U, "x" * 300)],
]

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Get the current weather.\nBy city.",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "City name"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": ["integer", "null"], "description": "How many"},
            "where": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}},
            "tags": {"type": "array", "items": {"type": "string"}}}}}},
    {"type": "function", "function": {"name": "stop", "description": "Stop it", "parameters": {"type": "object", "properties": {}}}},
]


def say(role, content, **more):
    return dict({"role": role, "content": content}, **more)


def call(arguments, call_id="call12345"):
    return {"id": call_id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}


ARGUMENTS = {"city": "Paris", "days": 3, "unit": None, "where": {"lat": 1.5, "lon": -2}, "tags": ["a", "b"]}
CONVERSATIONS = [
    {"messages": [say(U, "Hello")], "add_generation_prompt": True},
    {"messages": [say(S, "Be brief."), say(U, "Hi"), say(A, "Hello!"), say(U, "  How are you?\n")], "add_generation_prompt": True},
    {"messages": [say(S, "s"), say(U, "Hi"), say(A, "<think>\nhm\n</think>\n\nHello!"), say(U, "Why?"), say(A, "<think>\nso\n</think>\nBecause")]},
    {"messages": [say(U, "Hi"), say(A, "Hello!", reasoning_content="Let me\nthink"), say(U, "again")], "add_generation_prompt": True},
    {"messages": [say(S, "sys"), say(U, "Weather in Paris & Z\u00fcrich? \u4e2d \"q\" <b>")], "tools": TOOLS, "add_generation_prompt": True},
    {"messages": [say(U, "Weather?"), say(A, "", tool_calls=[call(ARGUMENTS)]), say("tool", "22 \u00b0C", tool_call_id="call12345", name="get_weather"),
                  say(A, "It is 22."), say(U, "And?")], "tools": TOOLS, "add_generation_prompt": True},
    {"messages": [say(U, "Weather?"), say(A, "Let me see.", tool_calls=[call('{"city": "Paris"}'), call('{"city": "Rome"}', "call67890")], reasoning="two"),
                  say("tool", '{"temp": 22}', tool_call_id="call12345", name="get_weather"),
                  say("tool", "sunny", tool_call_id="call67890", name="get_weather")], "tools": TOOLS, "add_generation_prompt": True},
    {"messages": [say(U, [{"type": "text", "text": "part one"}, {"type": "text", "text": " two"}]), say(A, "ok", tool_calls=None), say(U, "x")]},
    {"messages": [say(U, "short")], "enable_thinking": False, "thinking": False, "reasoning_effort": "low", "add_generation_prompt": True},
    {"messages": [say(U, "long")], "enable_thinking": True, "thinking": True, "documents": [{"title": "T", "text": "Text"}], "add_generation_prompt": True},
]
TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>"}


class StillClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 7, 4, 15, 9, 26)


chat_template_utils.datetime = StillClock


def render(template, variables):
    try:
        return chat_template_utils._compile_jinja_template(template).render(**copy.deepcopy(variables))
    except Exception:  # the template refuses, or means nothing
        return None


def render_conversation(template, conversation):
    """As apply_chat_template does, down to what it changes in the messages."""
    try:
        given = copy.deepcopy(conversation)
        messages = chat_template_utils._normalize_chat_messages(given.pop("messages"))
        return chat_template_utils.render_jinja_template([messages], chat_template=template, **TOKENS, **given)[0][0]
    except Exception:
        return None


def template_of(path):
    return gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()


def write_lines(path, head, lines):
    with open(path, "w") as out:
        out.write("# tools/chat_golden.py, jinja2 %s, transformers %s%s\n" % (jinja2.__version__, transformers.__version__, head))
        for line in lines:
            out.write(json.dumps(line) + "\n")


def record_chat(named, output):
    templates = dict(named, **{"gemma": GEMMA, "plain chatml": PLAIN})
    lines = [{"name": n, "template": t} for n, t in templates.items()]
    for name, template in templates.items():
        for conversation in PLAIN_CONVERSATIONS:
            for answer in (True, False):
                messages = [{"role": r, "content": c} for r, c in conversation]
                text = render(template, {"messages": messages, "add_generation_prompt": answer, "bos_token": "<bos>"})
                lines.append({"name": name, "messages": conversation, "answer": answer, "text": text})
    write_lines(output, "", lines)


def record_templates(named, folder, output):
    templates = dict(named, gemma=GEMMA)
    for name in PUBLISHED:
        with open(os.path.join(folder, name + ".jinja"), encoding="utf-8", newline="") as f:
            templates[name] = f.read()
    lines = [{"variables": VARIABLES}]
    lines += [{"snippet": s, "text": render(s, VARIABLES)} for s in SNIPPETS]
    lines += [{"conversation": c} for c in CONVERSATIONS]
    for name, template in templates.items():
        lines.append({"name": name, "template": template, "texts": [render_conversation(template, c) for c in CONVERSATIONS]})
    write_lines(output, "; the clock stands at 2026-07-04 15:09:26", lines)


def main():
    models, folder, output = sys.argv[1:4]
    named = {n: template_of(os.path.join(models, n + ".gguf")) for n in ["smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]}
    record_chat(named, os.path.join(output, "chat.txt"))
    record_templates(named, folder, os.path.join(output, "jinja.txt"))


if __name__ == "__main__":
    main()
