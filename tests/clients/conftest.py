"""The server under test is at COPPICE_SERVER (tests/clients/run starts one)."""
import os

import pytest


@pytest.fixture(scope="session")
def address():
    return os.environ["COPPICE_SERVER"]


@pytest.fixture(scope="session")
def model(address):
    import openai

    return openai.OpenAI(base_url=address + "/v1", api_key="any").models.list().data[0].id


WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
                   "required": ["city", "days"], "additionalProperties": False},
}
SKY = [{"role": "user", "content": "Why is the sky blue?"}]
PARIS = [{"role": "user", "content": "What is the weather in Paris in the next 3 days?"}]
