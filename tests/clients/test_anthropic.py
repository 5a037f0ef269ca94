"""The official client of Anthropic, as it comes."""
import anthropic
import pytest
from conftest import PARIS, SKY, WEATHER

TOOLS = [{"name": WEATHER["name"], "description": WEATHER["description"], "input_schema": WEATHER["parameters"]}]


@pytest.fixture(scope="module")
def client(address):
    return anthropic.Anthropic(base_url=address, api_key="any")


def test_a_stream_is_the_whole_text(client, model):
    kind = dict(model=model, messages=SKY, max_tokens=24, extra_body={"seed": 3})
    whole = client.messages.create(**kind)
    with client.messages.stream(**kind) as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()
    assert text == whole.content[0].text == last.content[0].text
    assert whole.stop_reason == last.stop_reason == "max_tokens" and whole.usage.output_tokens == 24


def test_system_and_stop(client, model):
    r = client.messages.create(model=model, system="Be brief.", messages=SKY, max_tokens=60, stop_sequences=[" the"], extra_body={"seed": 1})
    assert r.stop_reason in ("stop_sequence", "end_turn", "max_tokens") and " the" not in r.content[0].text


def test_tokens_are_counted(client, model):
    usage = client.messages.create(model=model, messages=SKY, max_tokens=1).usage
    assert client.messages.count_tokens(model=model, messages=SKY).input_tokens == usage.input_tokens + usage.cache_read_input_tokens


def test_errors(client, model):
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model=model, messages=[], max_tokens=5)


def test_a_tool_that_must_be_called(client, model):
    kind = dict(model=model, messages=PARIS, tools=TOOLS, tool_choice={"type": "any"}, max_tokens=100, extra_body={"seed": 3})
    r = client.messages.create(**kind)
    call = next(b for b in r.content if b.type == "tool_use")
    assert r.stop_reason == "tool_use" and call.name == "get_weather" and 1 <= call.input["days"] <= 7
    with client.messages.stream(**kind) as stream:
        assert next(b for b in stream.get_final_message().content if b.type == "tool_use").input == call.input
    answer = PARIS + [{"role": "assistant", "content": r.content},
                      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}]
    assert client.messages.create(model=model, messages=answer, tools=TOOLS, max_tokens=20).content is not None
