"""castbucket-proxy before servers that ask the person: what the tests of that share."""

import os
import subprocess

from lab.process import wait_until
from lab.questions import FAILED, SUCCESS, Answers, PamTarget, query
from proxy_fixtures import Stage

ON = "interactive_login = true"
ALICE = "(alice:web-1@127.0.0.1) "


class Questioned(Stage):
    """A stage whose person answers; `asked` are the prompts that they saw."""

    answers = None

    def server(self, kind=PamTarget, *words, **keywords):
        made = self.add(kind(os.path.join(self.directory, "asking"), *words, **keywords))
        if kind is PamTarget:
            made.key = made.identity  # what the proxy may be given
            made.identity = None
        return made

    def begin(self, server, **keywords):
        keywords.setdefault("socket_more", ON)
        return self.start(sockets={"web-1": server}, **keywords)

    def log_in(self, *answers, options=(), command="echo in"):
        self.answers = Answers(os.path.join(self.directory, "person"), *answers)
        return self.ssh("-o", "BatchMode=no", *options, "web-1", command,
                        env=self.answers.environment(self.alice.directory))

    def begin_session(self, *words, answers):
        """A client that goes on."""
        self.answers = Answers(os.path.join(self.directory, "person"), *answers)
        return subprocess.Popen(self.alice.words("-o", "BatchMode=no", *words),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE,
                                env=self.answers.environment(self.alice.directory))

    @property
    def asked(self):
        return [one[len(ALICE):].rstrip() for one in self.answers.asked]


def refused(stage, done, words):
    """The login failed, and the person was told so, whatever their client's LogLevel."""
    assert (done.returncode, done.stdout) == (255, b""), done
    assert words in done.stderr.decode(), (done.stderr, stage.log())
    assert 'as "alice:web-1" failed' in wait_until(
        lambda: "failed" in stage.log() and stage.log(), what="the log"), stage.log()
    assert "alice logged in" not in stage.log()
    assert stage.sessions() == []


def rounds():
    answers = yield query(("Name: ", True), ("PIN: ", False), name="Appliance",
                          instruction="Once, please.")
    if answers != ["operator", "1234"]:
        return FAILED
    answers = yield query(instruction="A message is on its way.")
    assert answers == []
    answers = yield query(("Code: ", True))
    return SUCCESS if answers == ["\u00e4 b"] else FAILED
