"""A stand-in for the model hub on the loopback address: python3 hub_server.py FOLDER PORTFILE LOG

FOLDER/OWNER/NAME/... are the repositories. What a file's name asks for goes wrong: requests for *.cut* break off in
the middle once, *.busy* is answered 503 once, *.false* arrives with a changed byte. The repository "private" wants
the token "secret", and is kept under another host name. Files of more than 4096 bytes are kept elsewhere, on another path, as large files are.
"""
import hashlib
import http.server
import json
import os
import sys

root, port_file, log = sys.argv[1:]
seen = set()


def entry(path, data):
    e = {"rfilename": path, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    if len(data) > 4096:
        e["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return e


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, data=b"", headers=()):
        self.send_response(code)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def files(self, repository):
        top = os.path.join(root, repository)
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    yield os.path.relpath(path, top), f.read()

    def do_GET(self):
        path = self.path.split("?")[0]
        with open(log, "a") as f:
            f.write(f"{path} {self.headers.get('Range', '-')} {'token' if self.headers.get('Authorization') == 'Bearer secret' else '-'}\n")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and parts[4:] == ["revision", "main"]:
            return self.list(parts[2] + "/" + parts[3])
        if parts[0] == "elsewhere":
            return self.content("/".join(parts[1:3]), "/".join(parts[3:]))
        if len(parts) > 4 and parts[2] == "resolve":
            if os.path.getsize(os.path.join(root, parts[0], parts[1], *parts[4:])) > 4096:
                host = f"http://localhost:{server.server_address[1]}" if parts[1] == "private" else ""  # another name, another host
                return self.answer(302, headers=[("Location", host + "/elsewhere/" + "/".join(parts[:2] + parts[4:]))])
            return self.content("/".join(parts[:2]), "/".join(parts[4:]))
        self.answer(404, b"not here")

    def list(self, repository):
        if "private" in repository and self.headers.get("Authorization") != "Bearer secret":
            return self.answer(401, b"{}")
        if not os.path.isdir(os.path.join(root, repository)):
            return self.answer(404, b"{}")
        if "broken" in repository:
            return self.answer(200, b"{\"sha\": [")
        if "lying" in repository:
            siblings = [{"rfilename": "../../../etc/passwd", "size": 1, "blobId": "0" * 40}, {"rfilename": "m.gguf", "size": 10, "blobId": "x"}]
            return self.answer(200, json.dumps({"sha": "c0ffee", "siblings": siblings}).encode())
        siblings = [entry(p, d) for p, d in self.files(repository)]
        self.answer(200, json.dumps({"id": repository, "sha": "c0ffee", "siblings": siblings}).encode())

    def content(self, repository, name):
        data = dict(self.files(repository))[name]
        first = name not in seen
        seen.add(name)
        if ".busy" in name and first:
            return self.answer(503, b"later")
        if ".false" in name:
            data = bytes([data[0] ^ 1]) + data[1:]
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        part = data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if ".cut" in name and first:
            self.wfile.write(part[:len(part) // 2])
            self.close_connection = True
            return None
        self.wfile.write(part)
        return None


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
with open(port_file + ".new", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(port_file + ".new", port_file)
server.serve_forever()
