"""Every one of OpenSSH's own tests (LTESTS of regress/Makefile), and what becomes of it through
castbucket-proxy: the script itself is run (openssh_stage.py), or a test of ours does what it does, or
there is a reason why it makes no sense."""

VERSION = "9.2p1"  # whose list this is


class Script:
    """Is run as it is. `recorded`: how many sessions it leaves at least. `fails`: what fails in it
    for a reason, as patterns of "what it was at: what went wrong"; nothing else may, and each does."""

    def __init__(self, recorded, quick=False, fails=()):
        self.recorded = recorded
        self.quick = quick  # in make check; the others are in make check-faults
        self.fails = fails


class Ours:
    """Tests of ours, FILE::FUNCTION of tests/integration, and why not the script."""

    def __init__(self, why, *tests):
        self.why = why
        self.tests = tests


class No:
    def __init__(self, why):
        self.why = why


KEYGEN = No("is about ssh-keygen alone")
AGENT = No("is about ssh-agent alone")
CLIENT = No("is about how the client reads its own files: no connection comes of it")
SERVER = No("is about how sshd reads its own configuration and decides by it")
LOGIN = No("is about whom sshd lets in and with what: that is the proxy's own, which logs in to sshd "
           "with an identity of its socket")
HOST_KEYS = No("is about sshd's host keys: a person sees those of the proxy")
CERTIFICATES = No("libssh 0.10 knows no certificates")
PROCESS = No("is about sshd's own process")

TESTS = {
    "connect": Script(2, quick=True),
    "proxy-connect": Script(3, quick=True, fails=(
        # Started by the client, sshd knows no addresses; behind the proxy it does.
        r"bad SSH_CONNECTION",)),
    "sshfp-connect": No("asks a public DNS server"),
    "connect-privsep": Script(10),
    "connect-uri": Script(2, quick=True),
    "proto-version": Script(0),
    "proto-mismatch": No("compares the words in which sshd refuses SSH 1"),
    "exit-status": Script(10),
    "exit-status-signal": Script(1, quick=True),
    "envpass": Script(9, quick=True),
    "transfer": Script(8, quick=True),
    "banner": No("sshd's banner is for whom it lets in, which is the proxy; libssh 0.10 can send none"),
    "rekey": Script(50, fails=(
        # sshd's own limit: that is between sshd and the proxy, where the client does not see it.
        r"rekeying\(s\): no rekeying occurred$",)),
    "dhgex": No("compares the groups with a file of moduli that sshd is given for the test"),
    "stderr-data": Script(4),
    "stderr-after-eof": Script(1, quick=True),
    "broken-pipe": Script(0),
    "try-ciphers": Script(10),
    "yes-head": Script(1, quick=True),
    "login-timeout": Script(1),
    "agent": Ours("uses certificates for most of it",
                  "test_proxy_forward.py::"
                  "test_the_agent_is_reached_from_the_far_side_and_its_use_is_recorded"),
    "agent-getpeereid": AGENT,
    "agent-timeout": AGENT,
    "agent-ptrace": AGENT,
    "agent-subprocess": AGENT,
    "keyscan": HOST_KEYS,
    "keygen-change": KEYGEN,
    "keygen-comment": KEYGEN,
    "keygen-convert": KEYGEN,
    "keygen-knownhosts": KEYGEN,
    "keygen-moduli": KEYGEN,
    "keygen-sshfp": KEYGEN,
    "key-options": Ours("changes sshd's list of keys; the proxy has its own",
                        "test_proxy.py::test_options_of_a_key_are_kept_or_the_key_is_refused",
                        "test_proxy.py::test_a_key_without_pty_gets_no_terminal_but_runs_commands",
                        "test_proxy.py::"
                        "test_a_keys_command_runs_in_place_of_all_that_is_asked_and_both_are_recorded"),
    "scp": Ours("puts a script in ssh's place",
                "test_transfer.py::test_scp_is_told_in_both_directions"),
    "scp3": Script(10, quick=True),
    "scp-uri": Ours("puts a script in ssh's place",
                    "test_transfer.py::test_scp_is_told_in_both_directions"),
    "sftp": Script(5),
    "sftp-chroot": Script(1),
    "sftp-cmds": Script(20),
    "sftp-badcmds": Script(5),
    "sftp-batch": Script(4, quick=True),
    "sftp-glob": Script(5),
    "sftp-perm": Script(10),
    "sftp-uri": Script(4, quick=True),
    "reconfigure": PROCESS,
    "dynamic-forward": Script(10),
    "forwarding": Script(10, fails=(
        # Unix sockets: libssh 0.10 cannot take part in OpenSSH's extension for them.
        r"failed copy of /bin/ls", r"corrupted copy of /bin/ls")),
    "multiplex": Script(20, fails=(  # Unix sockets again
        r"corrupted copy of", r"connect to local forward path failed",
        r"request remote forward failed", r"connect to remote forwarded path failed")),
    "reexec": PROCESS,
    "brokenkeys": Script(1),
    "sshcfgparse": CLIENT,
    "cfgparse": SERVER,
    "cfgmatch": SERVER,
    "cfgmatchlisten": SERVER,
    "percent": CLIENT,
    "addrmatch": SERVER,
    "localcommand": Script(1),
    "forcecommand": SERVER,
    "portnum": CLIENT,
    "keytype": LOGIN,
    "kextype": Script(20),
    "cert-hostkey": CERTIFICATES,
    "cert-userkey": CERTIFICATES,
    "host-expand": CLIENT,
    "keys-command": LOGIN,
    "forward-control": Ours(
        "is about what sshd allows; what the proxy allows is its own",
        "test_proxy_forward.py::test_everything_is_refused_by_default_with_a_reason",
        "test_proxy_forward.py::test_only_permitted_destinations_are_reached"),
    "integrity": Script(50),
    "krl": KEYGEN,
    "multipubkey": LOGIN,
    "limit-keytype": LOGIN,
    "hostkey-agent": HOST_KEYS,
    "hostkey-rotate": HOST_KEYS,
    "principals-command": CERTIFICATES,
    "cert-file": CERTIFICATES,
    "cfginclude": CLIENT,
    "servcfginclude": SERVER,
    "allow-deny-users": LOGIN,
    "authinfo": LOGIN,
    "sshsig": KEYGEN,
    "knownhosts": HOST_KEYS,
    "knownhosts-command": HOST_KEYS,
    "agent-restrict": HOST_KEYS,
    "hostbased": LOGIN,
    "channel-timeout": Script(5),
    "connection-timeout": No("is about when sshd leaves a client without sessions: that is the proxy"),
}


def scripts(quick):
    return [name for name, what in TESTS.items()
            if isinstance(what, Script) and what.quick == quick]
