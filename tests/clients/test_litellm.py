"""litellm, by its OpenAI provider."""
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from conftest import SKY


def test_whole_and_stream(address, model):
    kind = dict(model="openai/" + model, api_base=address + "/v1", api_key="any", messages=SKY, max_tokens=16, seed=4)
    whole = litellm.completion(**kind).choices[0].message.content
    assert "".join(c.choices[0].delta.content or "" for c in litellm.completion(stream=True, **kind)) == whole


def test_embedding(address, model):
    r = litellm.embedding(model="openai/" + model, api_base=address + "/v1", api_key="any", input=["blue"], encoding_format="float")
    assert len(r.data[0]["embedding"]) > 0
