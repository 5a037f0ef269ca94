"""The official client of OpenAI, as it comes: sync, async, streams, tools, structure."""
import asyncio
import enum
import json

import openai
import pydantic
import pytest
from conftest import PARIS, SKY, WEATHER

TOOLS = [{"type": "function", "function": WEATHER}]


@pytest.fixture(scope="module")
def client(address):
    return openai.OpenAI(base_url=address + "/v1", api_key="any")


def test_models(client, model):
    assert client.models.retrieve(model).id == model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_a_stream_is_the_whole_text(client, model):
    kind = dict(model=model, messages=SKY, max_tokens=24, seed=3)
    whole = client.chat.completions.create(**kind)
    chunks = list(client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **kind))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens == 24
    assert whole.choices[0].finish_reason == "length"


def test_replies_have_seeds_of_their_own(client, model):
    three = client.chat.completions.create(model=model, messages=SKY, max_tokens=12, seed=5, n=3)
    last = client.chat.completions.create(model=model, messages=SKY, max_tokens=12, seed=7)
    assert three.choices[2].message.content == last.choices[0].message.content


def test_stop(client, model):
    r = client.chat.completions.create(model=model, messages=SKY, max_tokens=50, temperature=0)
    word = r.choices[0].message.content.split()[3]
    cut = client.chat.completions.create(model=model, messages=SKY, max_tokens=50, temperature=0, stop=word)
    assert word not in cut.choices[0].message.content and cut.choices[0].finish_reason == "stop"


def test_logprobs(client, model):
    r = client.chat.completions.create(model=model, messages=SKY, max_tokens=5, temperature=0, logprobs=True, top_logprobs=3)
    tokens = r.choices[0].logprobs.content
    assert len(tokens) == 5 and all(len(t.top_logprobs) == 3 and t.top_logprobs[0].token == t.token for t in tokens)
    assert "".join(t.token for t in tokens) == r.choices[0].message.content


def test_completions(client, model):
    r = client.completions.create(model=model, prompt=["Once", "Twice"], max_tokens=5, logprobs=2, echo=False, seed=1)
    assert [c.index for c in r.choices] == [0, 1] and len(r.choices[0].logprobs.tokens) == 5
    text = "".join(c.choices[0].text for c in client.completions.create(model=model, prompt="Once", max_tokens=5, seed=1, stream=True))
    assert text == r.choices[0].text


def test_responses(client, model):
    kind = dict(model=model, input="Say hi.", max_output_tokens=300, temperature=0)
    whole = client.responses.create(**kind)
    with client.responses.stream(**kind) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == whole.output_text
    assert whole.status == "completed" and whole.usage.output_tokens > 0


def test_embeddings(client, model):
    r = client.embeddings.create(model=model, input=["blue", "red"])
    assert len(r.data) == 2 and abs(sum(x * x for x in r.data[0].embedding) - 1) < 1e-3


def test_errors(client, model):
    with pytest.raises(openai.BadRequestError) as e:
        client.chat.completions.create(model=model, messages=SKY, temperature=1000)
    assert e.value.param == "temperature"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=model, messages=[])


def test_many_at_once_have_the_same_text(address, model):
    async def ask(client):
        r = await client.chat.completions.create(model=model, messages=SKY, max_tokens=16, seed=9)
        return r.choices[0].message.content

    async def ask_streaming(client):
        stream = await client.chat.completions.create(model=model, messages=SKY, max_tokens=16, seed=9, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream])

    async def all_of_them():
        client = openai.AsyncOpenAI(base_url=address + "/v1", api_key="any")
        return await asyncio.gather(*[ask(client) for _ in range(16)], *[ask_streaming(client) for _ in range(16)])

    assert len(set(asyncio.run(all_of_them()))) == 1


class Colour(str, enum.Enum):
    red = "red"
    blue = "blue"


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    age: int = pydantic.Field(ge=0, le=120)
    eyes: Colour


def test_structure_with_pydantic(client, model):
    r = client.chat.completions.parse(model=model, messages=[{"role": "user", "content": "Ann is 31 and has blue eyes."}], max_tokens=100, response_format=Person)
    assert isinstance(r.choices[0].message.parsed, Person)
    r = client.responses.parse(model=model, input="Ann is 31 and has blue eyes.", max_output_tokens=100, text_format=Person)
    assert isinstance(r.output_parsed, Person)


def test_json_mode(client, model):
    r = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "A cat as JSON, please."}], max_tokens=80, seed=2,
                                       response_format={"type": "json_object"})
    assert isinstance(json.loads(r.choices[0].message.content), dict)


def test_a_tool_that_must_be_called(client, model):
    kind = dict(model=model, messages=PARIS, tools=TOOLS, max_tokens=100, temperature=0, parallel_tool_calls=False)
    r = client.chat.completions.create(tool_choice="required", **kind)
    call = r.choices[0].message.tool_calls[0]
    arguments = json.loads(call.function.arguments)
    assert r.choices[0].finish_reason == "tool_calls" and call.function.name == "get_weather" and 1 <= arguments["days"] <= 7
    chunks = list(client.chat.completions.create(tool_choice={"type": "function", "function": {"name": "get_weather"}}, stream=True, **kind))
    deltas = [d for c in chunks for d in (c.choices[0].delta.tool_calls or [])]
    assert deltas[0].function.name == "get_weather" and deltas[0].id
    assert json.loads("".join(d.function.arguments or "" for d in deltas)) == arguments


def test_no_tool_is_called_when_none_may_be(client, model):
    r = client.chat.completions.create(model=model, messages=PARIS, tools=TOOLS, tool_choice="none", max_tokens=40)
    assert not r.choices[0].message.tool_calls


def test_a_conversation_with_results_of_tools(client, model):
    messages = PARIS + [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call12345", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris", "days": 3}'}}]},
        {"role": "tool", "tool_call_id": "call12345", "content": "sunny"}]
    assert client.chat.completions.create(model=model, messages=messages, tools=TOOLS, max_tokens=20).choices[0].message is not None


def test_a_tool_by_responses(client, model):
    tool = {"type": "function", **WEATHER, "strict": True}
    r = client.responses.create(model=model, input=PARIS[0]["content"], tools=[tool], tool_choice="required", max_output_tokens=100)
    call = next(o for o in r.output if o.type == "function_call")
    assert call.name == "get_weather" and json.loads(call.arguments)["city"]
