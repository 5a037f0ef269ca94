"""What the benches of the server share: a server for the time of a `with`, and requests to it. Standard library only."""
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """command, with --port; .port is the one. Ends the program, with what the server said, when it does not start."""

    def __init__(self, name, command):
        self.name, self.command = name, command

    def __enter__(self):
        self.port = free_port()
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command + ["--port", str(self.port)], stdout=self.log, stderr=self.log)
        end = time.time() + 120
        while time.time() < end and self.process.poll() is None:
            try:
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                c.request("GET", "/health")
                if c.getresponse().status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        self.__exit__()
        self.log.seek(0)
        sys.exit(f"{self.name}: the server did not start\n{self.log.read().decode(errors='replace')[-2000:]}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def post(self, path, body):
        """The reply to a request, which must be 200."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        r = c.getresponse()
        data = r.read()
        c.close()
        if r.status != 200:
            raise RuntimeError(f"{path}: {r.status} {data[:300]!r}")
        return json.loads(data)


def coppice(a, draft, parallel, context, *more):
    """The server of this project; a: arguments with coppice, model and threads."""
    return Server("coppice", [a.coppice, "serve", "-m", a.model, "-t", str(a.threads), "--parallel", str(parallel), "--ctx", str(context), "--draft", draft, *more])
