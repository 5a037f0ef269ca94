"""Clients that behave badly, against a running server: hang up at random, read slowly, open sockets and say nothing, send
JSON that means harm. Between them the same seeded question is asked and must have the same answer.

    stress.py ADDRESS [--rounds N] [--json N] [--seconds S] [--pid PID]

With --pid the server's memory must not grow by more than 32 MB between the second round and the last. Standard library only."""
import argparse
import http.client
import json
import random
import socket
import struct
import sys
import threading
import time
import urllib.parse

PROMPT = {"prompt": "abc def", "max_tokens": 24, "temperature": 0.8, "seed": 7, "ignore_eos": True}
PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/completion", "/infill", "/tokenize",
         "/detokenize", "/apply-template", "/v1/embeddings", "/slots/0?action=erase"]
FIELDS = ["messages", "prompt", "input", "stop", "n", "temperature", "top_p", "seed", "max_tokens", "stream", "logit_bias", "tools",
          "tool_choice", "response_format", "guided_regex", "guided_json", "guided_choice", "grammar", "coppice", "lora", "samplers", "logprobs",
          "content", "tokens", "stream_options", "system", "id_slot", "chat_template_kwargs"]


def connect(at, timeout=30):
    return socket.create_connection((at.hostname, at.port), timeout)


def raw(path, body, extra=""):
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n").encode() + body


def post(at, path, body, timeout=60):
    c = http.client.HTTPConnection(at.hostname, at.port, timeout=timeout)
    try:
        c.request("POST", path, body, {"Content-Type": "application/json"})
        r = c.getresponse()
        return r.status, r.read()
    finally:
        c.close()


def text_of(at):
    status, body = post(at, "/v1/completions", json.dumps(PROMPT))
    if status == 429:
        time.sleep(0.2)
        return text_of(at)
    assert status == 200, (status, body)
    return json.loads(body)["choices"][0]["text"]


def hang_up(at, rng):
    """Ask, and be gone: before, in the middle of, or behind some of the reply; politely or by a reset."""
    body = json.dumps(dict(PROMPT, max_tokens=300, stream=rng.random() < 0.7, n=rng.choice([1, 1, 1, 3]))).encode()
    s = connect(at)
    question = raw(rng.choice(["/v1/completions", "/completion"]), body)
    s.sendall(question[: rng.choice([len(question)] * 4 + [rng.randrange(len(question))])])
    time.sleep(rng.random() * 0.1)
    if rng.random() < 0.5:
        s.settimeout(0.05)
        try:
            s.recv(rng.randrange(1, 4000))
        except OSError:
            pass
    if rng.random() < 0.5:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def read_slowly(at, rng):
    s = connect(at)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.sendall(raw("/v1/completions", json.dumps(dict(PROMPT, max_tokens=100, stream=True)).encode(), "Connection: close\r\n"))
    for _ in range(20):
        if not s.recv(64):
            break
        time.sleep(rng.random() * 0.02)
    s.close()


def hostile_value(rng, depth=0):
    kind = rng.randrange(14)
    if kind == 0 and depth < 6:
        return [hostile_value(rng, depth + 1) for _ in range(rng.randrange(5))]
    if kind == 1 and depth < 6:
        return {rng.choice(FIELDS + ["role", "type", "text", "function", "name", "schema"]): hostile_value(rng, depth + 1) for _ in range(rng.randrange(5))}
    if kind == 2:
        return [{"role": rng.choice(["user", "assistant", "system", "tool", 1]), "content": hostile_value(rng, depth + 1)}]
    if kind == 3:
        return rng.choice(["(a*)*b", "[", "a{1000}{1000}", "(a|b|ab)*c", "\\", "(?=x)", "x" * 200, ".{0,1000}"])
    if kind == 4:
        return {"type": "json_schema", "json_schema": {"schema": rng.choice([
            {"$ref": "#"}, {"enum": list(range(500))}, {"type": "array", "items": {"$ref": "#"}}, {"anyOf": [{"$ref": "#"}] * 5},
            {"type": "string", "pattern": "(a*)*b"}, {"type": "object", "minProperties": 1 << 40}, {"not": {}}, {"minLength": 1e9},
            {"type": "array", "minItems": 100000, "items": {"type": "integer"}}, {"properties": {str(i): True for i in range(200)}}])}}
    return rng.choice([None, True, False, 0, -1, 1, 7, 1 << 62, -(1 << 62), 0.5, 1e300, -1e-300, "", "a", "\u00e9\ud83d\ude00", "<|im_end|>", "none", "auto",
                       "coupled", "../../x", "x" * 3000])


def hostile_body(rng):
    if rng.random() < 0.1:
        return rng.choice([b"", b"[" * 5000, b'{"a":' * 3000, b"{}", b"\xff\xfe", b'{"prompt": "\\ud800"}', b'{"prompt": "\\u0000"}', b"nul", b"1", b'"a"'])
    body = {rng.choice(FIELDS): hostile_value(rng) for _ in range(rng.randrange(1, 6))}
    body.setdefault("max_tokens", 2)
    text = json.dumps(body).encode()
    if rng.random() < 0.2:
        cut = rng.randrange(len(text))
        text = text[:cut] + bytes([rng.randrange(256)]) + text[cut + rng.randrange(3):]
    return text


def send_hostile(at, rng, n, counts):
    c = http.client.HTTPConnection(at.hostname, at.port, timeout=120)
    for _ in range(n):
        path, body = rng.choice(PATHS), hostile_body(rng)
        try:
            c.request("POST", path, body, {"Content-Type": "application/json"})
            r = c.getresponse()
            reply = r.read()
        except (http.client.HTTPException, OSError):
            c.close()
            counts["cut"] = counts.get("cut", 0) + 1
            continue
        counts[r.status] = counts.get(r.status, 0) + 1
        if r.getheader("content-type", "").startswith("application/json"):
            json.loads(reply)
        elif not r.getheader("content-type", "").startswith("text/event-stream"):
            raise AssertionError((r.status, reply[:200]))
        if r.status >= 500 and r.status not in (501, 503):
            raise AssertionError((path, body[:300], r.status, reply[:300]))
    c.close()


def side_by_side(fn, n):
    failed = []

    def guarded(i):
        try:
            fn(random.Random(i))
        except Exception as e:  # every failure is a finding
            failed.append(repr(e))

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[:3]


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1]) // 1024


def main():
    p = argparse.ArgumentParser()
    p.add_argument("address")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=int, default=300)
    p.add_argument("--seconds", type=float, default=0)
    p.add_argument("--pid", type=int)
    a = p.parse_args()
    at = urllib.parse.urlparse(a.address)
    want, start, counts, second, i = text_of(at), time.time(), {}, None, 0
    idle = [connect(at) for _ in range(20)]
    while i < a.rounds or time.time() - start < a.seconds:
        side_by_side(lambda rng: hang_up(at, rng), 34)
        side_by_side(lambda rng: read_slowly(at, rng), 4)
        side_by_side(lambda rng: send_hostile(at, random.Random(rng.random() + i), a.json // 4 // a.rounds + 1, counts), 4)
        got = text_of(at)
        assert got == want, (got, want)
        i += 1
        if a.pid and i == 2:
            second = memory(a.pid)
    for s in idle:
        s.close()
    if second is not None:
        last = memory(a.pid)
        print(f"memory {second} MB after two rounds, {last} MB at the end", file=sys.stderr)
        assert last <= second + 32, (second, last)
    print(f"{i} rounds; replies {dict(sorted(counts.items(), key=str))}", file=sys.stderr)
    print("ok")


main()
