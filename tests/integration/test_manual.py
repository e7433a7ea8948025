"""The manual pages say what the program says: every command, option, key and help, and no other.

Both are compared as texts: --help comes from the tables that drive parsing."""

import glob
import os
import re
import subprocess

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
CASTBUCKET = os.path.join(TOP, os.environ.get("BUILD", "build"), "castbucket")
COLUMN = 26  # where help texts begin


def castbucket(*words):
    return subprocess.run([CASTBUCKET, *words], stdout=subprocess.PIPE, timeout=60,
                          check=True).stdout.decode()


def page(name):
    with open(os.path.join(TOP, "pkg", "man", name + ".scd"), encoding="utf-8") as file:
        return file.read()


def one_line(text):
    return " ".join(text.split())


def entries(block):
    """The entries of a block of help: {name: text}."""
    found, name = {}, None
    for line in block.splitlines():
        if line.startswith(" " * COLUMN):
            found[name] = one_line(found[name] + " " + line)
        elif line.startswith("  "):
            fits = line[COLUMN - 1:COLUMN] == " "
            name = (line[2:COLUMN] if fits else line).strip()
            found[name] = one_line(line[COLUMN:]) if fits else ""
    return found


def commands():
    return entries(castbucket("--help").split("Commands:\n")[1].split("\n\n")[0])


def help_of(command):
    """A command's name with its operands, and its options."""
    text = castbucket("help", *command.split())
    usage = text.splitlines()[0][len("Usage: castbucket "):-len(" [OPTION...]")]
    return usage, entries(text.split("Options:\n")[1].split("\n\n")[0])


def common_options():
    return entries(castbucket("--help").split("Options of every command:\n")[1].split("\n\n")[0])


def plain(text):
    """scdoc without its markup."""
    return re.sub(r"\\(.)", r"\1", text.replace("*", ""))


def page_options(section):
    """{"-o, --output FILE": help} of a section of a page."""
    return {plain(match[1]): one_line(plain(match[2]))
            for match in re.finditer(r"^(\*-.+)\n((?:\t.*\n?)+)", section, re.MULTILINE)}


def page_commands():
    text = page("castbucket.1").split("\n# COMMANDS\n")[1].split("\n# ")[0]
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return {plain(name): section for name, section in zip(parts[::2], parts[1::2])}


def test_the_page_has_every_command_in_the_same_order():
    assert list(page_commands()) == [help_of(command)[0] for command in commands()]


def test_the_page_has_every_option_with_its_help_and_no_other():
    sections, common = page_commands(), common_options()
    for command, summary in commands().items():
        usage, options = help_of(command)
        assert one_line(plain(sections[usage])).startswith(summary), command
        own = {name: text for name, text in options.items() if name not in common}
        assert len(options) == len(own) + len(common), command
        assert page_options(sections[usage]) == own, command


def test_the_page_has_the_options_of_every_command():
    text = page("castbucket.1").split("\n# OPTIONS\n")[1].split("\n# ")[0]
    assert page_options(text) == common_options()


def test_the_settings_page_has_every_key_with_values_default_and_help():
    text = castbucket("settings", "--help").split("one JSON object:\n")[1].split("\n\n")[0]
    wanted, name = {}, None
    for line in text.splitlines():
        if line.startswith("      "):
            wanted[name] = one_line(wanted[name] + " " + line)
        else:
            name = line.strip()
            wanted[name] = ""
    assert len(wanted) > 10
    section = page("castbucket-settings.5").split("\n# KEYS\n")[1].split("\n# ")[0]
    found = {plain(match[1]): one_line(plain(match[2]))
             for match in re.finditer(r"^(\*.+)\n((?:\t.*\n)+)", section, re.MULTILINE)}
    assert found == wanted


def option_names(text):
    """The options that lines begin with, as help and pages show them: {"-f", "--help"}."""
    lines = [line for line in plain(text).splitlines() if re.match(r"\s*-", line)]
    return {name for line in lines
            for name in re.findall(r"(?:^|, )(--?[a-z][a-z-]*)", line.strip())}


def host_help(program):
    done = subprocess.run([os.path.join(os.path.dirname(CASTBUCKET), program), "--help"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize("program,name", [("castbucket-proxy", "castbucket-proxy.8"),
                                          ("castbucket-shell", "castbucket-shell.1")])
def test_a_hosts_page_has_its_options_and_no_other(program, name):
    section = page(name).split("\n# OPTIONS\n")[1].split("\n# ")[0]
    shown = option_names(host_help(program))
    assert shown and option_names(section) == shown


def test_the_proxys_page_has_the_keys_of_its_configuration_and_their_defaults():
    wanted = {}
    for line in host_help("castbucket-proxy").splitlines():
        key = re.match(r"\s+([a-z_]+) = ", line)
        if key:
            default = re.search(r"default: (\d+)", line)
            wanted[key[1]] = default[1] if default else None
    text = page("castbucket-proxy.conf.5").split("\n# KEYS\n")[1].split("\n# EXAMPLE")[0]
    found = {}
    for match in re.finditer(r"^\*([a-z_]+)\*\n((?:\t.*\n)+)", text, re.MULTILINE):
        default = re.search(r"Default: (\d+)", one_line(match[2]))
        found[match[1]] = default[1] if default else None
    assert wanted and found == wanted


@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(TOP, "pkg", "man", "*.scd"))),
                         ids=os.path.basename)
def test_each_page_is_valid_scdoc(path):
    with open(path, "rb") as source:
        made = subprocess.run(["scdoc"], stdin=source, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, check=False)
    assert made.returncode == 0, made.stderr.decode()
    name, number = os.path.basename(path)[:-len(".scd")].rsplit(".", 1)
    assert b'.TH "%s" "%s"' % (name.encode(), number.encode()) in made.stdout


def test_the_interfaces_page_has_every_function_and_every_name_of_the_header():
    with open(os.path.join(TOP, "plugin", "recording_plugin.h"), encoding="utf-8") as file:
        header = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    text = page("recording_plugin.3")
    table = re.search(r"struct recording_plugin \{(.*?)\n\};", header, re.DOTALL)[1]
    functions = re.findall(r"\(\*(\w+)\)\(", table)
    described = re.findall(r"^(?:int|void) \*(\w+)\*\(",
                           text.split("\n# FUNCTIONS\n")[1].split("\n# ")[0], re.MULTILINE)
    assert len(functions) > 9 and described == functions
    # `m` and the include guard belong to the compiler; everything else to whoever reads the page.
    names = set(re.findall(r"\bRECORDING_[A-Z_]+\b", header)) - {"RECORDING_PLUGIN_H"}
    assert names - set(re.findall(r"\bRECORDING_[A-Z_]+\b", text)) == set()
    assert set(re.findall(r"\bRECORDING_[A-Z_]+\b", text)) - names == set()
    structs = set(re.findall(r"^struct (recording_\w+) \{", header, re.MULTILINE))
    section = text.split("\n# STRUCTS\n")[1].split("\n# ")[0]
    assert set(re.findall(r"^\*struct (\w+)\*$", section, re.MULTILINE)) == structs
    for name in structs:
        body = re.search(r"struct %s \{(.*?)\n\};" % name, header, re.DOTALL)[1]
        members = set(re.findall(r"(\w+)(?:\[\d+\])?[;,]", re.sub(r"\([^)]*\)", "", body)))
        missing = {member for member in members if "_%s_" % member not in text} - {"size"}
        assert name == "recording_plugin" or not missing, (name, missing)


def test_the_example_of_the_interfaces_page_compiles_and_records(tmp_path):
    """As it stands there, but for the place of the plugin."""
    code = page("recording_plugin.3").split("\n# EXAMPLE\n")[1].split("```\n")[1]
    build = os.path.dirname(CASTBUCKET)
    code = code.replace("/usr/lib/castbucket", build)
    source, program = tmp_path / "example.c", tmp_path / "example"
    source.write_text(code.replace("create(&host, NULL,", 'create(&host, "settings.json",'))
    sanitize = ["-fsanitize=" + os.environ["SANITIZE"]] if os.environ.get("SANITIZE") else []
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", *sanitize, "-I", os.path.join(TOP, "plugin"),
                    str(source), "-o", str(program), "-ldl"], timeout=60, check=True)
    settings = {"CASTBUCKET_SETTINGS": str(tmp_path / "settings.json"), "PATH": os.environ["PATH"]}
    for words in (["spool", str(tmp_path / "spool")],
                  ["storage", "acme", "--type", "directory", "--path", str(tmp_path / "store")],
                  ["socket", "web-1", "--organization", "acme", "--recording", "on"]):
        subprocess.run([CASTBUCKET, "settings", *words], env=settings, timeout=60, check=True)
    subprocess.run([str(program)], cwd=tmp_path, timeout=60, check=True)
    subprocess.run([CASTBUCKET, "recorder", "--once"], env=settings, timeout=60, check=True)
    (cast,) = glob.glob(str(tmp_path / "store") + "/org=acme/socket=web-1/*/*.cast.gz")
    shown = subprocess.run(["zcat", cast], stdout=subprocess.PIPE, timeout=60, check=True).stdout
    assert b'"o","hello\\r\\n"' in shown


@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(TOP, "pkg", "man", "*.scd"))),
                         ids=os.path.basename)
def test_each_page_renders_without_warnings_and_is_found_by_its_name(path, tmp_path):
    name, number = os.path.basename(path)[:-len(".scd")].rsplit(".", 1)
    made = tmp_path / ("%s.%s" % (name, number))
    with open(path, "rb") as source, open(made, "wb") as output:
        subprocess.run(["scdoc"], stdin=source, stdout=output, timeout=60, check=True)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}
    shown = subprocess.run(["man", "--warnings", "-l", str(made)], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=environment, timeout=60, check=True)
    assert shown.stderr == b"" and name.upper() in shown.stdout.decode().upper()
    found = subprocess.run(["lexgrog", str(made)], stdout=subprocess.PIPE, timeout=60, check=True)
    assert '"%s - ' % name in found.stdout.decode()
