"""Completion as people have it: interactive bash and zsh that load the files which are installed,
and are asked with the Tab key."""

import os
import shutil
import subprocess

import pytest

from lab.process import TOP, Terminal, build_directory, environment, program, wait_until

SCRIPTS = os.path.join(TOP, "pkg", "completion")


class Shell:
    """An interactive shell in an empty directory; ask() gives what Tab offers."""

    def __init__(self, tmp_path, words, setup):
        self.offers = tmp_path / "offers"
        self.home = tmp_path
        env = environment(HOME=str(tmp_path), OFFERS=str(self.offers), PS1="ready> ")
        env["PATH"] = build_directory() + ":" + env["PATH"]
        self.screen = Terminal(words, env=env, cwd=str(tmp_path), columns=200)
        self.place = 0
        self.count = 0
        for line in setup:
            self.line(line)

    def line(self, text):
        """Types a line and waits for the prompt after it."""
        self.count += 1
        self.screen.send("%s\r" % text)
        self.screen.send("echo do''ne %d\r" % self.count)
        self.place = self.screen.expect("done %d" % self.count, after=self.place)
        self.place = self.screen.expect("ready> ", after=self.place)

    def ask(self, text):
        """What is offered; something has to be."""
        self.offers.write_text("")
        self.screen.send(text + "\t")
        wait_until(lambda: (self.screen.read(0.1), self.offers.read_text())[1],
                   what="an offer for " + text, every=0)
        while self.screen.read(0.3):
            pass
        self.screen.send("\x05\x15")  # to the end, and take the line back
        self.line("")
        return sorted(set(self.offers.read_text().split("\n")) - {""})

    def close(self):
        self.screen.process.kill()
        self.screen.process.wait()


BASH = ["set +o history", "bind 'set bell-style none'", "bind 'set enable-bracketed-paste off'",
        # As bash-completion does when the command is completed for the first time.
        "source '%s/castbucket.bash'" % SCRIPTS,
        "asked() { _castbucket; printf '%s\\n' \"${COMPREPLY[@]}\" >\"$OFFERS\"; }",
        "complete -o filenames -F asked castbucket"]
# compadd is where every offer of zsh's passes; -O, -A and -D only ask which would fit.
ZSH = ["unsetopt zle_bracketed_paste; PS1='ready> '",
       "autoload -U compinit; compinit -u -D; setopt extended_glob",
       "compadd() { [[ \" ${@[1,(i)(-|--)]}\" == *' -'[a-zA-Z]#[OAD]' '* ]] || "
       "{ local -a hits; builtin compadd -A hits \"$@\"; print -rl -- $hits >>$OFFERS }; "
       "builtin compadd \"$@\" }"]


@pytest.fixture(params=["bash", "zsh"])
def shell(request, tmp_path):
    if request.param == "bash":
        made = Shell(tmp_path, ["bash", "--norc", "--noprofile", "-i"], BASH)
    else:
        functions = tmp_path / "functions"
        functions.mkdir()
        shutil.copy(os.path.join(SCRIPTS, "castbucket.zsh"), functions / "_castbucket")
        made = Shell(tmp_path, ["zsh", "-f", "-i"], ["fpath=('%s' $fpath)" % functions, *ZSH])
    made.name = request.param
    yield made
    made.close()


@pytest.fixture(params=["bash", "zsh"])
def host_shell(request, tmp_path):
    """The same, with the completion of the programs that hosts run."""
    if request.param == "bash":
        made = Shell(tmp_path, ["bash", "--norc", "--noprofile", "-i"], [
            *BASH[:3], "source '%s/hosts.bash'" % SCRIPTS,
            "asked() { _castbucket_host \"$@\"; printf '%s\\n' \"${COMPREPLY[@]}\" >\"$OFFERS\"; }",
            "complete -o filenames -F asked castbucket-proxy castbucket-shell"])
    else:
        functions = tmp_path / "functions"
        functions.mkdir()
        shutil.copy(os.path.join(SCRIPTS, "hosts.zsh"), functions / "_castbucket-shell")
        made = Shell(tmp_path, ["zsh", "-f", "-i"], ["fpath=('%s' $fpath)" % functions, *ZSH])
    yield made
    made.close()


def commands(group=""):
    """The words that may follow `castbucket GROUP`, by the program's own help."""
    text = subprocess.run([program("castbucket"), "--help"], stdout=subprocess.PIPE, check=True,
                          timeout=60).stdout.decode().split("Commands:\n")[1].split("\n\n")[0]
    names = [line[2:26].split() for line in text.splitlines() if line[2:3].strip()]
    if group:
        return sorted({words[1] for words in names if words[0] == group})
    return sorted({words[0] for words in names})


def options(command):
    text = subprocess.run([program("castbucket"), "help", *command.split()], check=True,
                          stdout=subprocess.PIPE, timeout=60).stdout.decode()
    block = text.split("Options:\n")[1].split("\n\n")[0]
    return sorted({word.rstrip(",") for line in block.splitlines() for word in line.split()[:2]
                   if line.startswith("  -") and word.startswith("--")})


def long_options(offered):
    return sorted({word.rstrip("=") for word in offered if word.startswith("--")})


def test_every_command_is_offered(shell):
    assert sorted(set(shell.ask("castbucket ")) - {"--help", "--version"}) == commands()
    for group in ("settings", "iam"):
        assert sorted(set(shell.ask("castbucket %s " % group)) - {"--help"}) == commands(group)


def test_every_option_of_a_command_is_offered_and_no_other(shell):
    for command in ["get", "settings storage", "iam trust"]:
        assert long_options(shell.ask("castbucket %s --" % command)) == options(command), command


def test_values_that_are_known_and_files_are_offered(shell):
    assert shell.ask("castbucket settings socket web-1 --on-failure ") == [
        "continue", "end", "refuse"]
    assert shell.ask("castbucket settings storage acme --type ") == ["aws-s3", "directory"]
    (shell.home / "recording.cast").write_text("")
    assert "recording.cast" in shell.ask("castbucket get --output rec")
    assert "recording.cast" in shell.ask("castbucket play rec")


@pytest.mark.parametrize("name", ["castbucket-proxy", "castbucket-shell"])
def test_every_option_of_a_host_is_offered_and_its_files(host_shell, name):
    text = subprocess.run([program(name), "--help"], check=True, stdout=subprocess.PIPE,
                          timeout=60).stdout.decode()
    lines = [line for line in text.splitlines() if line.startswith("  -")]
    named = {word.rstrip(",") for line in lines for word in line.split()[:2]
             if word.startswith("-")}
    assert len(named) >= 4
    assert set(host_shell.ask(name + " -")) == named
    (host_shell.home / "recording.conf").write_text("")
    followed = [line.split()[0] for line in lines if line.split()[1] == "FILE"]
    for each in followed:
        assert host_shell.ask("%s %s rec" % (name, each)) == ["recording.conf"], each
    assert followed
