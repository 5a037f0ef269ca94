"""A headless Chromium for tests of the server's page, driven over its DevTools pipe, and a server that stands in for the
real one. Standard library only.

  page_browser.py test PAGE            sentences about the page, one "ok" or "FAILED" line each
  page_browser.py real PAGE_URL        the same with a running server: a question, an answer, its tree
  page_browser.py pictures PAGE DIR    how it looks: phone and desktop, light and dark
"""
import base64
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ANSWER = ["The ", "sky ", "is ", "blue", " because ", "air ", "scatters ", "short ", "waves ", "more.\n", "```c\n", "int x;\n", "```\n", "Done."]


class Server(http.server.BaseHTTPRequestHandler):
    page = b""
    asked = []
    hold = threading.Event()
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body, kind="application/json", more=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/":
            self.reply(200, self.page, "text/html; charset=utf-8")
        elif self.path == "/props":
            self.reply(200, {"default_generation_settings": {"n_ctx": 2048, "params": {"temperature": 0.8, "top_p": 0.95, "top_k": 40}},
                             "coppice": {"draft": "auto", "verify": "coupled", "control": "auto"},
                             "methods": {"draft": [{"name": "copy", "summary": "repeat <b>what</b> came"}],
                                         "verify": [{"name": "coupled", "summary": "lossless"}], "control": [{"name": "auto", "summary": "measured"}]}})
        elif self.path == "/v1/models":
            self.reply(200, {"data": [{"id": "fake-model"}]})
        else:
            self.reply(404, {"error": {"message": "nothing here"}})

    def event(self, value):
        self.wfile.write(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")
        self.wfile.flush()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Server.asked.append(body)
        said = body["messages"][-1]["content"]
        if "fail" in said:
            self.reply(500, {"error": {"message": "it broke <img src=x onerror=alert(1)>"}})
            return
        if "busy" in said:
            self.reply(429, {"error": {"message": "the queue is full"}}, more=[("Retry-After", "7")])
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self.stream(said)
        except OSError:
            Server.asked.append("gone")

    def stream(self, said):
        words = ["<img src=x onerror=\"document.title='got in'\"><script>document.title='got in'</script>"] if "html" in said else ANSWER
        last = "?"
        for i, word in enumerate(words):
            if "slow" in said and i == 3:
                Server.hold.wait(20)
            tokens = [last, word, "or", " this\n", " not", "…"]
            tree = {"tokens": tokens, "parents": [-1, 0, 0, 2, 1, 4], "fates": ["accepted", "accepted", "rejected", "rejected", "rejected", "pruned"]}
            if i % 4 == 3:
                tree = {"tokens": [last], "parents": [-1], "fates": ["accepted"]}
            self.event({"choices": [], "coppice": {"tree": tree}})
            delta = {"reasoning_content": "Hm. "} if "think" in said and i < 2 else {"content": word}
            self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            last = word
            time.sleep(0.01)
        if "break" in said:
            self.event({"error": {"message": "the model fell over"}})
            return
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "timings": {"predicted_n": 25, "predicted_per_second": 123.4}})
        self.event(b"[DONE]")


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp()
        down, self.to = os.pipe()
        self.come, up = os.pipe()
        # The pipe is descriptors 3 and 4 of the browser.
        line = 'exec 3<&%d 4>&%d; exec "$@"' % (down, up)
        self.process = subprocess.Popen(
            ["bash", "-c", line, "sh", shutil.which("chromium") or "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-extensions", "--user-data-dir=" + self.folder, "--remote-debugging-pipe", "about:blank"],
            pass_fds=[down, up], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(down)
        os.close(up)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def read(self):
        while b"\0" not in self.rest:
            piece = os.read(self.come, 1 << 16)
            if not piece:
                raise RuntimeError("the browser is gone")
            self.rest += piece
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            got = self.read()
            if got.get("id") == self.number:
                if "error" in got:
                    raise RuntimeError(method + ": " + str(got["error"]))
                return got["result"]
            self.events.append(got)

    def run(self, code):
        got = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            raise RuntimeError(code + ": " + str(got["exceptionDetails"].get("exception", {}).get("description")))
        return got["result"].get("value")

    def wait(self, code, seconds=15):
        end = time.time() + seconds
        while time.time() < end:
            if self.run(code):
                return True
            time.sleep(0.03)
        return False

    def key(self, key, text="", code=0, modifiers=0):
        params = dict(key=key, code=key, windowsVirtualKeyCode=code, modifiers=modifiers)
        if text:
            params["text"] = text
        self.call("Input.dispatchKeyEvent", type="keyDown", **params)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code, modifiers=modifiers)

    def enter(self):
        self.key("Enter", "\r", 13)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def size(self, width, height, dark=False, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && !!document.getElementById('words')")

    def picture(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def troubles(self):
        """What scripts threw and what the policy refused."""
        self.run("0")
        found = [str(e["params"]) for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        return found + [e["params"]["entry"]["text"] for e in self.events
                        if e.get("method") == "Log.entryAdded" and "Content Security Policy" in e["params"]["entry"]["text"]]

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (RuntimeError, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


failed = False


def check(sentence, holds):
    global failed
    print(("ok " if holds else "FAILED ") + sentence, flush=True)
    failed = failed or not holds


def start_server(path):
    with open(path, "rb") as f:
        Server.page = f.read()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d/" % server.server_port


IDLE = "running === null"
LAST = "[...document.querySelectorAll('.turn')].pop().textContent"


def ask(b, text, until=IDLE):
    b.run("document.getElementById('words').focus()")
    b.type(text)
    b.enter()
    b.wait("messages.length > 0")
    return b.wait(until)


def no_sideways(b):
    return b.run("document.scrollingElement.scrollWidth <= innerWidth")


def test_chat(b, url):
    b.size(1200, 800)
    b.open(url)
    check("the model's name stands in the head", b.wait("document.getElementById('model').textContent.includes('fake-model')"))
    check("the box for the message has the focus", b.run("document.activeElement.id") == "words")
    check("an answer comes as it is written", ask(b, "Why is the sky blue?") and "scatters" in b.run(LAST))
    check("code stands in a box", b.run("document.querySelector('.turn pre').textContent") == "int x;")
    check("the speed is the server's", b.run("document.getElementById('speed').textContent") == "123")
    check("tokens per forward come from the trees", b.run("document.getElementById('yield').textContent") == "1.79")
    check("each step is counted", "step 14 of 14" in b.run("document.getElementById('where').textContent"))
    check("the request asked for trees", Server.asked[0]["coppice"] == {"trees": True} and Server.asked[0]["stream"])
    ask(b, "html")
    check("a model's markup is text", "<img src=x" in b.run(LAST) and b.run("document.title") == "coppice" and not b.run("document.querySelector('#log img, #tree img')"))
    ask(b, "think")
    check("reasoning stands apart", b.run("[...document.querySelectorAll('.turn details')].pop().textContent").endswith("Hm. Hm. "))
    check("the conversation goes with the question", len(Server.asked[-1]["messages"]) == 5)
    b.open(url)
    check("the conversation is there again after loading", b.run("document.querySelectorAll('.turn').length") == 6)


def test_tree(b, url):
    b.open(url)
    b.run("document.getElementById('pause').click()")
    ask(b, "paused", "running && running.over && steps.length === 0")
    check("paused, nothing is shown by itself", b.run("messages[messages.length - 1].content") == "")
    b.run("document.getElementById('tree').focus()")
    b.key("ArrowRight", code=39)
    check("a key shows one step and its text", b.run("steps.length") == 1 and b.run("messages[messages.length - 1].content") == "The ")
    check("its tree has proposed, accepted and rejected tokens",
          b.run("['accepted', 'rejected', 'pruned'].map(c => document.querySelectorAll('#tree .token.' + c).length)") == [1, 3, 1])
    check("fates are words as well as colours", "accepted" in b.run("document.querySelector('#tree .token.accepted').textContent"))
    b.key("ArrowRight", code=39)
    b.key("ArrowLeft", code=37)
    check("a key goes back", "step 1 of 2" in b.run("document.getElementById('where').textContent"))
    b.key(" ", " ", 32)
    check("the space bar goes on", b.wait(IDLE) and "Done." in b.run(LAST))
    b.key("Home", code=36)
    check("Home shows the first step", "step 1 of 14" in b.run("document.getElementById('where').textContent"))


def test_trouble(b, url):
    b.open(url)
    Server.hold.clear()
    ask(b, "slow", "messages[messages.length - 1].content.includes('is ')")
    check("while an answer is written, Stop is there and Send is not", b.run("!document.getElementById('stop').hidden && document.getElementById('send').hidden"))
    b.key("Escape", code=27)
    check("Escape stops it and keeps what came", b.wait(IDLE) and "stopped" in b.run(LAST))
    Server.hold.set()
    ask(b, "fail")
    check("an error is told, as text", "onerror" in b.run("document.querySelector('.trouble').textContent") and not b.run("document.querySelector('.trouble img')"))
    check("an alert tells it to screen readers", b.run("document.querySelector('.trouble').getAttribute('role')") == "alert")
    before = len(Server.asked)
    b.run("document.querySelector('.trouble button').click()")
    check("it can be tried again", b.wait("running === null && document.querySelectorAll('.trouble').length === 1") and len(Server.asked) > before)
    ask(b, "busy")
    check("a full queue says when to come back", "in 7 s" in b.run("document.querySelector('.trouble').textContent"))
    ask(b, "break")
    check("an answer that breaks keeps its text", "Done." in b.run(LAST) and "fell over" in b.run("document.querySelector('.trouble').textContent"))
    count = b.run("messages.length")
    b.run("document.getElementById('retry').click()")
    b.wait("running === null && messages.length === %d" % count)
    check("Retry writes the last answer anew", b.run("messages.length") == count)


def test_settings(b, url):
    b.open(url)
    b.wait("document.querySelectorAll('#f-draft option').length === 4")
    check("methods are those that the server lists", b.run("document.querySelectorAll('#f-draft option')[3].textContent") == "copy – repeat <b>what</b> came")
    b.run("document.getElementById('settings').open = true")
    for key, value in (("temperature", "0"), ("seed", "42"), ("max_tokens", "64"), ("system", "Be brief."), ("draft", "copy")):
        b.run("{const e = document.getElementById('f-%s'); e.value = '%s'; e.dispatchEvent(new Event('change'));}" % (key, value))
    ask(b, "with settings")
    body = Server.asked[-1]
    check("settings go with the question", (body["temperature"], body["seed"], body["max_tokens"], body["coppice"]["draft"], body["messages"][0]["content"])
          == (0, 42, 64, "copy", "Be brief."))
    b.run("{const e = document.getElementById('f-top_p'); e.value = '7'; e.dispatchEvent(new Event('change'));}")
    ask(b, "out of range")
    check("a value out of range is marked and not sent", "top_p" not in Server.asked[-1] and b.run("document.getElementById('f-top_p').getAttribute('aria-invalid')") == "true")
    b.open(url)
    check("settings are kept", b.run("document.getElementById('f-seed').value") == "42")
    b.run("document.getElementById('clear').click(); document.getElementById('clear').click()")
    check("Clear forgets the conversation", b.run("document.querySelectorAll('.turn').length === 0 && localStorage.getItem('coppice.messages') === null"))


def test_forms(b, url):
    for width, height in ((320, 568), (390, 844), (1200, 800)):
        b.size(width, height)
        b.open(url)
        b.run("document.getElementById('settings').open = true")
        ask(b, "a word as long as " + "w" * 200)
        check("nothing is wider than a screen of %d" % width, no_sideways(b))
    order = []
    b.run("document.getElementById('words').focus()")
    for _ in range(40):
        b.key("Tab", code=9)
        order.append(b.run("document.activeElement.id || document.activeElement.tagName"))
    reached = {"send", "pause", "tree", "f-system", "f-temperature", "f-draft", "f-key", "clear", "retry", "log"}
    check("Tab reaches everything", reached <= set(order))
    b.run("document.getElementById('words').focus()")
    b.key("Tab", code=9)
    b.key("Tab", code=9)
    check("what has the focus shows it", b.run("getComputedStyle(document.activeElement).outlineStyle") == "solid")
    names = "[...document.querySelectorAll('button, input, select, textarea')].filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || document.querySelector('label[for=\"' + e.id + '\"]'))).length"
    check("every control has a name", b.run(names) == 0)
    for dark in (False, True):
        b.size(1200, 800, dark)
        check("text stands out %s" % ("in the dark" if dark else "in the light"), b.run(CONTRAST) >= 4.5)


# The smallest contrast (WCAG 2) of the texts that are visible.
CONTRAST = """(() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number), lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  let least = 21;
  for (const e of document.querySelectorAll('h1, h2, p, dt, dd, .said, .who, .facts, .token, label, summary, button:not(:disabled), .hint, #model')) {
    if (!e.offsetParent || !e.textContent.trim()) continue;
    let up = e, back = [0, 0, 0, 0];
    while (up && !back[3]) { const c = parse(getComputedStyle(up).backgroundColor); back = c.length < 4 ? [...c, 1] : c; up = up.parentElement; }
    const a = lum(parse(getComputedStyle(e).color).slice(0, 3)), b = lum(back.slice(0, 3));
    least = Math.min(least, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
  }
  return least;
})()"""


def pictures(b, url, folder):
    os.makedirs(folder, exist_ok=True)
    for name, width, height, dark in (("desktop-light", 1200, 800, False), ("desktop-dark", 1200, 800, True), ("phone-light", 390, 844, False), ("phone-dark", 390, 844, True), ("small", 320, 568, False)):
        b.size(width, height, dark)
        b.open(url)
        b.run("localStorage.clear()")
        b.open(url)
        b.picture(os.path.join(folder, name + "-empty.png"))
        ask(b, "Why is the sky think blue?")
        b.run("showStep(shown = 1)")
        time.sleep(0.2)
        b.picture(os.path.join(folder, name + ".png"))
        b.run("document.getElementById('settings').open = true; document.getElementById('settings').scrollIntoView()")
        ask(b, "fail")
        b.run("document.getElementById('settings').scrollIntoView()")
        b.picture(os.path.join(folder, name + "-settings.png"))
        if width < 600:
            b.run("document.getElementById('tree').scrollIntoView({block: 'center'})")
            b.picture(os.path.join(folder, name + "-tree.png"))


def real(b, url):
    b.size(1200, 800)
    b.open(url)
    check("the page of the server is there", b.run("document.querySelector('h1').textContent") == "coppice")
    check("it knows the model", b.wait("!['…', 'not connected'].includes(document.getElementById('model').textContent)"))
    b.run("settings = {max_tokens: '24', temperature: '0'}")
    ask(b, "Hello", "running === null && messages.length > 1")
    check("the model answers", b.wait(IDLE, 60) and b.run("messages[1].content.length") > 0)
    check("its steps come as trees", b.run("steps.length") > 0)
    check("methods can be chosen", b.run("document.querySelectorAll('#f-draft option').length") > 1)


def main():
    what, where = sys.argv[1:3]
    url = where if what == "real" else start_server(where)
    b = Browser()
    try:
        if what == "pictures":
            pictures(b, url, sys.argv[3])
        elif what == "real":
            real(b, url)
        else:
            for test in (test_chat, test_tree, test_trouble, test_settings, test_forms):
                test(b, url)
        found = b.troubles()
        for line in found:
            print(line)
        check("no script failed, and the policy had nothing to refuse", not found)
    finally:
        b.close()
    sys.exit(1 if failed else 0)


main()
