"""A headless Chromium for tests, driven over its debugging pipe: no driver, no port, no network.

with Browser.start() as browser:
    page = browser.open("file:///...", width=1280, height=900)
    page.press("j"); page.run("document.title"); page.problems
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time

BROWSERS = "chromium", "chromium-browser", "google-chrome"
SWITCHES = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update
--disable-sync --disable-extensions --disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe""".split()
PATIENCE = 60  # seconds for one answer
NAMES = {"ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Escape": 27, "Tab": 9}  # keys that write nothing


def path():
    """Where the browser is; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Browser:
    """A process with a pipe for commands and one for answers; messages are JSON with a zero byte after each."""

    def __init__(self, process, commands, answers, profile):
        self.process, self.commands, self.answers, self.profile = process, commands, answers, profile
        self.number, self.buffer, self.pages = 0, b"", {}

    @classmethod
    @contextlib.contextmanager
    def start(cls):
        """A browser that ends with the block."""
        ends = [end for pipe in (os.pipe(), os.pipe()) for end in pipe]
        theirs, ours, back, give = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)  # above 3 and 4, which the browser reads
        for end in ends:
            os.close(end)
        profile = tempfile.mkdtemp()
        actions = [(os.POSIX_SPAWN_DUP2, theirs, 3), (os.POSIX_SPAWN_DUP2, give, 4)]
        actions += [(os.POSIX_SPAWN_OPEN, output, os.devnull, os.O_WRONLY, 0) for output in (1, 2)]
        command = [path(), *SWITCHES, f"--user-data-dir={profile}"]
        process = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setpgroup=0)
        os.close(theirs)
        os.close(give)
        browser = cls(process, ours, back, profile)
        try:
            yield browser
        finally:
            browser.stop()

    def stop(self):
        """End the process and its children, and remove its profile."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method, session=None, **parameters):
        """The answer to a command; events that come before it are noted with their page.  Raises RuntimeError for an error."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.number:
            if answer.get("sessionId") in self.pages:
                self.pages[answer["sessionId"]].events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def receive(self):
        """The next message."""
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.buffer:
            if not select.select([self.answers], [], [], max(until - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser does not answer")
            if not (read := os.read(self.answers, 1 << 16)):
                raise RuntimeError("the browser has ended")
            self.buffer += read
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def open(self, address, width=1280, height=900, scripts=True, **media):
        """A Page with its network off.  media: preferences such as prefers_color_scheme="dark"."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{domain}.enable")
        page.send("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        page.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.send("Emulation.setEmulatedMedia", features=[{"name": k.replace("_", "-"), "value": v} for k, v in media.items()])
        page.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.go(address)
        return page


class Page:
    """One page of a browser."""

    def __init__(self, browser, session):
        self.browser, self.session, self.events = browser, session, []

    def send(self, method, **parameters):
        """The answer to a command."""
        return self.browser.send(method, self.session, **parameters)

    def go(self, address):
        """Load an address and wait until it has loaded."""
        self.events.clear()
        if "loaderId" not in self.send("Page.navigate", url=address):
            return  # another place of the same page
        self.loaded()

    def loaded(self, since=0):
        """Wait until a page has loaded, which an event after the first `since` says."""
        until = time.monotonic() + PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self.events[since:]):
            if time.monotonic() > until:
                raise TimeoutError("the page does not load")
            self.browser.send("Browser.getVersion")  # events come with the answer, and no page that goes away has to give it

    def run(self, expression):
        """The value of an expression of JavaScript, a promise awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", answer["exceptionDetails"]["text"]))
        return answer["result"].get("value")

    def until(self, expression):
        """Wait until an expression of JavaScript is true."""
        self.run(f"new Promise(done => {{ const look = () => {expression} ? done() : setTimeout(look, 5); look(); }})")

    def press(self, key, modifiers=0):
        """Press a key as a person does; it goes to whatever has the focus."""
        code = {"windowsVirtualKeyCode": NAMES[key]} if key in NAMES else {"text": key}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, modifiers=modifiers, **code)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, modifiers=modifiers)

    def picture(self):
        """A screenshot, the bytes of a PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])

    @property
    def problems(self):
        """What the console said, and errors."""
        told = [e["params"] for e in self.events if e["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
        return [json.dumps(one) for one in told]

    @property
    def requests(self):
        """The addresses that were asked for, those of inline data left out."""
        asked = [event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith("data:")]
