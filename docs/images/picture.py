#!/usr/bin/env python3
"""Makes the README's picture of the running program: a conversation on the page and in the terminal, side by side.

    docs/images/picture.py LAUNCHER docs/images/chat.png

Needs chromium, chromedriver and tmux. The people are those of `launcher demo`; sam is typed into the terminal by this script.
"""

import base64
import html
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

WIDTH, HEIGHT = 800, 620
COLUMNS, ROWS = 84, 31
COLOURS = ["#24283b", "#f7768e", "#9ece6a", "#e0af68", "#7aa2f7", "#bb9af7", "#7dcfff", "#c0caf5"]
ENTER = "\ue007"


class Browser:
    """A Chromium through chromedriver (W3C WebDriver)."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/session"
        options = {"args": ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                            f"--window-size={2 * WIDTH},{HEIGHT}"]}
        capabilities = {"alwaysMatch": {"goog:chromeOptions": options}}
        self.base += "/" + self.post("", {"capabilities": capabilities})["sessionId"]

    def post(self, path, body):
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["value"]

    def get(self, path):
        with urllib.request.urlopen(self.base + path) as answer:
            return json.load(answer)["value"]

    def show(self, url, width):
        # The window is larger than what it shows by its borders.
        inner = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self.post("/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": inner})
        self.post("/url", {"url": url})

    def until(self, condition):
        wait_for(condition, lambda: self.post("/execute/sync", {"script": f"return {condition}", "args": []}))

    def type(self, selector, text):
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        found = self.post("/element", {"using": "css selector", "value": selector})
        self.post(f"/element/{next(iter(found.values()))}/value", {"text": text})

    def click(self, selector):
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        self.post("/execute/sync", {"script": f"document.querySelector({json.dumps(selector)}).click()", "args": []})

    def picture(self):
        return self.get("/screenshot")


def wait_for(what, probe):
    deadline = time.monotonic() + 20
    while not probe():
        if time.monotonic() > deadline:
            sys.exit(f"picture.py: waited in vain for {what}")
        time.sleep(0.05)


def line_with(process, pattern):
    """The match in the first line of a program's output that has one."""
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found
    sys.exit(f"picture.py: {process.args[0]} ended without {pattern}")


class Terminal:
    """A terminal in tmux, on a server of its own."""

    def __init__(self, socket, command):
        self.tmux = ["tmux", "-S", socket, "-f", "/dev/null"]
        self.run("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-s", "chat", command)

    def run(self, *arguments):
        return subprocess.run([*self.tmux, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout

    def say(self, text):
        self.run("send-keys", "-t", "chat", "-l", text)
        self.run("send-keys", "-t", "chat", "Enter")

    def until(self, text):
        wait_for(text, lambda: text in self.run("capture-pane", "-p", "-t", "chat"))

    def as_html(self):
        return to_html(self.run("capture-pane", "-p", "-e", "-t", "chat"))

    def end(self):
        subprocess.run([*self.tmux, "kill-server"], check=False)


def to_html(text):
    """A picture of a terminal, with its sixteen colours, as HTML."""
    out, style = [], {}
    for part in re.split(r"(\x1b\[[0-9;]*m)", text):
        if not part.startswith("\x1b"):
            front, back = style.get("color", COLOURS[7]), style.get("back", "transparent")
            if style.get("reverse"):
                front, back = COLOURS[0], front
            weight = "bold" if style.get("bold") else "normal"
            opacity = 0.6 if style.get("dim") else 1
            out.append(f'<span style="color:{front};background:{back};font-weight:{weight};opacity:{opacity}">{html.escape(part)}</span>')
            continue
        for code in [int(number or 0) for number in part[2:-1].split(";")]:
            match code:
                case 0: style = {}
                case 1: style["bold"] = True
                case 2: style["dim"] = True
                case 7: style["reverse"] = True
                case 22: style = {key: value for key, value in style.items() if key not in ("bold", "dim")}
                case 27: style.pop("reverse", None)
                case 39: style.pop("color", None)
                case 49: style.pop("back", None)
                case _ if 30 <= code <= 37: style["color"] = COLOURS[code - 30]
                case _ if 40 <= code <= 47: style["back"] = COLOURS[code - 40]
                case _ if 90 <= code <= 97: style["color"] = COLOURS[code - 90]
    return "".join(out)


def beside_each_other(page, terminal):
    return f"""<!doctype html><meta charset="utf-8"><style>
        body {{ margin: 0; display: flex; background: #1a1b26 }}
        img, pre {{ width: {WIDTH}px; height: {HEIGHT}px; box-sizing: border-box }}
        pre {{ margin: 0; padding: 14px 20px; font: 15px/19px 'DejaVu Sans Mono', monospace; background: #1a1b26 }}
        </style><img src="data:image/png;base64,{page}"><pre>{terminal}</pre>"""


def converse(browser, terminal, page):
    """What is in the picture: sam in the terminal and you on the page, beside what the others wrote."""
    browser.show(page, WIDTH)
    browser.type("#name", "you" + ENTER)
    browser.until("document.querySelectorAll('.badge').length >= 3")
    terminal.until("connected")
    terminal.say("you: Does this reach the browser?")
    browser.click("[data-key='sam']")
    browser.type("#composer", "At once. And what I write?" + ENTER)
    terminal.until("And what I write?")
    terminal.say("Here, in the terminal.")
    browser.until("document.body.textContent.includes('Here, in the terminal.')")
    browser.type("#composer", "And if one of us is offline?" + ENTER)
    terminal.until("is offline?")
    terminal.say("It waits, on disk. Nothing is lost. 👋")
    browser.until("document.body.textContent.includes('Nothing is lost.')")
    terminal.until("Nothing is lost.")


def main():
    launcher, output = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as directory:
        demo = subprocess.Popen([launcher, "demo"], stdout=subprocess.PIPE, text=True)
        driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        terminal = None
        try:
            page = line_with(demo, r"in the browser +(http://\S+)")[1]
            server = line_with(demo, r"--server (\S+)")[1]
            line_with(demo, "^stop")
            browser = Browser(line_with(driver, r"successfully on port (\d+)")[1])
            terminal = Terminal(f"{directory}/tmux", f"{launcher} chat --server {server} --name sam --history {directory}")
            converse(browser, terminal, page)
            left = browser.picture()
            together = pathlib.Path(directory) / "together.html"
            together.write_text(beside_each_other(left, terminal.as_html()), encoding="utf-8")
            browser.show(together.as_uri(), 2 * WIDTH)
            browser.until("document.images[0].complete")
            output.write_bytes(base64.b64decode(browser.picture()))
        finally:
            if terminal:
                terminal.end()
            for process in (driver, demo):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
