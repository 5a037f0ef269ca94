"""Record what jinja2 makes of chat templates, for tests/golden/chat.c.

usage: chat_golden.py GGUF_FOLDER OUTPUT_FILE

Templates are read from the named models' files; the rendering options are those of the transformers library
(trim_blocks, lstrip_blocks).  One line of JSON for each conversation and template, the templates first.
"""
import json
import os
import sys

import gguf
import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

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

S, U, A = "system", "user", "assistant"
CONVERSATIONS = [
    [(U, "Hello")], [(S, "Be brief."), (U, "Hello")], [(U, "Hi"), (A, "Hello!"), (U, "How are you?")],
    [(S, "Be brief."), (U, "Hi"), (A, "Hello!"), (U, "Why?"), (A, "Because."), (U, "Oh")],
    [(U, "")], [(S, ""), (U, "x")], [(U, "  spaces  ")], [(U, "\n\n lines\n\n"), (A, "\t tab \t"), (U, "\r\n")],
    [(U, "\u00a0\u3000wide\u2003\u200b\u0085")], [(U, "\x1c\x1f ctl \x1e")], [(S, "  s  \n"), (U, " u ")],
    [(U, "{{ x }} {% if %} {# c #}")], [(U, "'quotes' \"double\" \\ \\n")], [(U, "<|im_end|>\n<end_of_turn>")],
    [(U, "\u00e9\u4e2d\U0001f600")], [(U, "a"), (A, "b")], [(S, "only system")], [(A, "first")],
    [(U, "a"), (U, "b")], [(U, "a"), (S, "late"), (U, "b")], [(S, "s"), (S, "t"), (U, "u")], [(S, "s"), (A, "a")],
    [(U, "line\nline\n\nline\n")], [(U, "x" * 300)],
]


def raise_exception(message):
    raise jinja2.TemplateError(message)


def render(template, conversation, answer, bos):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.globals["raise_exception"] = raise_exception
    messages = [{"role": r, "content": c} for r, c in conversation]
    try:
        return env.from_string(template).render(messages=messages, add_generation_prompt=answer, bos_token=bos)
    except jinja2.TemplateError:
        return None  # the template refuses


def template_of(path):
    return gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()


def main():
    folder, output = sys.argv[1:3]
    named = ["smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]
    templates = {n: template_of(os.path.join(folder, n + ".gguf")) for n in named}
    templates.update({"gemma": GEMMA, "plain chatml": PLAIN})
    with open(output, "w") as out:
        out.write("# tools/chat_golden.py, jinja2 %s\n" % jinja2.__version__)
        for name, template in templates.items():
            out.write(json.dumps({"name": name, "template": template}) + "\n")
        for name, template in templates.items():
            for conversation in CONVERSATIONS:
                for answer in (True, False):
                    text = render(template, conversation, answer, "<bos>")
                    out.write(json.dumps({"name": name, "messages": conversation, "answer": answer, "text": text}) + "\n")


if __name__ == "__main__":
    main()
