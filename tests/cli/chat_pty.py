"""Talk to `coppice chat` on a pseudo-terminal: editing, history, Ctrl-C at the prompt and in an answer.

usage: chat_pty.py COPPICE MODEL FOLDER; prints one line per step, or what was expected and did not come.
"""
import os
import pty
import re
import select
import sys
import time

coppice, model, folder = sys.argv[1:4]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.environ["HOME"] = folder
    os.execv(coppice, [coppice, "chat", "-m", model, "--no-packed", "-t", "1", "-n", "200000", "--ctx", "300000", "--draft", "none"])
seen = b""


def expect(pattern, step, seconds=60):
    global seen
    end = time.time() + seconds
    while True:
        found = re.search(pattern, seen)
        if found:
            seen = seen[found.end():]
            print(step)
            return
        if time.time() > end or not read_some(end - time.time()):
            print("%s: %r did not come; the end of what came: %r" % (step, pattern, seen[-600:]))
            os.kill(pid, 9)
            sys.exit(1)


def read_some(seconds):
    global seen
    ready, _, _ = select.select([fd], [], [], max(seconds, 0.01))
    if not ready:
        return False
    try:
        got = os.read(fd, 65536)
    except OSError:
        return False
    seen += got
    return bool(got)


def send(text):
    os.write(fd, text)


expect(rb"> ", "a prompt")
send(b"/hlp\x1b[D\x1b[De\r")
expect(rb"take back the last message", "the line was edited")
expect(rb"> ", "a prompt")
send(b"\x1b[A\r")
expect(rb"take back the last message", "the line came back from the history")
expect(rb"> ", "a prompt")
send(b"never sent\x03")
expect(rb"Ctrl-C again", "Ctrl-C dropped the line")
expect(rb"> ", "a prompt")
send(b"first line \\\r")
expect(rb"\. ", "a prompt for more")
send(b"second line\r")
expect(rb"(?s).{400}", "an answer begins")
send(b"\x03")
expect(rb"\(interrupted\)", "Ctrl-C ended the answer")
expect(rb"> ", "a prompt")
send(b"/save " + folder.encode() + b"/saved.json\r")
expect(rb"\(2 messages saved\)", "the conversation has the question and the part of the answer")
expect(rb"> ", "a prompt")
send(b"/nonsense\r")
expect(rb"no command /nonsense", "a wrong command is no end")
expect(rb"> ", "a prompt")
send(b"/clear\r")  # what follows an answer cut at some point may be short
expect(rb"> ", "a prompt")
send(b"first line \\\r")
expect(rb"\. ", "a prompt for more")
send(b"second line\r")
expect(rb"(?s).{400}", "an answer begins")
send(b"\x03")
expect(rb"\(interrupted\)", "Ctrl-C ended that answer, too")
send(b"/undo\r")
expect(rb"\(2 messages taken back\)", "two messages taken back")
expect(rb"> ", "a prompt")
send(b"\x04")
status = os.waitpid(pid, 0)[1]
print("exit %d" % os.waitstatus_to_exitcode(status))
