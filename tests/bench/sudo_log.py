"""sudo's I/O log, run beside the others. sudo reads /etc/sudoers and nothing else, so ours is mounted over
it in a mount namespace of the command's own: nothing outside it sees a difference, or has to be put
back. For root only; who else may not, gets the reason."""

import os
import subprocess

RULES = """Defaults log_output, !use_pty, !lecture, !syslog
Defaults iolog_dir={log}, iolog_file=%{{seq}}
Defaults {compressed}compress_io
root ALL=(ALL:ALL) NOPASSWD: ALL
"""


class SudoLog:
    def __init__(self, folder, compressed):
        self.log = os.path.join(folder, "sudo-log" + ("-compressed" if compressed else ""))
        self.rules = self.log + ".rules"
        self.nothing = self.log + ".nothing"
        os.makedirs(self.nothing)
        with open(self.rules, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o440)
            file.write(RULES.format(log=self.log, compressed="" if compressed else "!"))

    def words(self, *command):
        """The command, logged by sudo."""
        mounts = ('mount --bind "$1" /etc/sudoers && mount --bind "$2" /etc/sudoers.d && shift 2 && '
                  'exec sudo -n "$@"')
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", mounts, "sh", self.rules,
                self.nothing, *command]

    def why_not(self):
        """None when it works here."""
        if os.getuid() != 0:
            return "only root can give sudo rules of its own"
        try:
            done = subprocess.run(self.words("true"), check=False, timeout=30,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        except OSError as error:
            return str(error)
        return None if done.returncode == 0 else done.stdout.decode(errors="replace").strip()

    def size(self):
        """Bytes of all logs."""
        return sum(os.path.getsize(os.path.join(place, name))
                   for place, _, names in os.walk(self.log) for name in names)

    def forget(self):
        """Removes all logs."""
        for place, _, names in os.walk(self.log):
            for name in names:
                os.unlink(os.path.join(place, name))
