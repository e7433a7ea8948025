"""What a recorded person tries from within their session, by name. Each is a script of theirs that
says of every single try whether it failed; tests/integration/test_attack.py runs them against the
programs of a build, tests/install/openssh.py against the packages.

Perl, because every Debian has it, however small: kill, ioctl and plain system calls in one language."""

import shlex

SUCCEEDED = b"SUCCEEDED"
FINISHED = b"the attempt is over\n"

# `try` prints one line for one try. $relay is the castbucket-shell above this process.
PRELUDE = r"""
use strict; use warnings; no warnings "once"; use Fcntl; $| = 1; our $!;
my ($spool, $victim, $shell) = @ARGV;
chomp(my $machine = `uname -m`);
my %number = $machine eq "aarch64"
    ? (ptrace => 117, prlimit => 261, readv => 270, writev => 271)
    : (ptrace => 101, prlimit => 302, readv => 310, writev => 311);
@number{"pidfd_signal", "pidfd_open", "pidfd_getfd"} = (424, 434, 438);
sub slurp { open(my $f, "<", $_[0]) or return ""; local $/; my $all = <$f>; defined $all ? $all : "" }
my $relay = getppid;
while ($relay > 1 && slurp("/proc/$relay/comm") !~ /^castbucket-shel/) {
    (slurp("/proc/$relay/status") =~ /^PPid:\s*(\d+)/m) or last; $relay = $1;
}
print "no relay found\n" if $relay <= 1;
sub attempt { my ($what, $done) = @_; print "$what: ", ($done ? "SUCCEEDED" : "failed, $!"), "\n" }
sub look { open(my $f, "<", $_[0]) or return 0; sysread($f, my $byte, 8) }
sub put { sysopen(my $f, $_[0], O_WRONLY) or return 0; defined(syswrite($f, $_[1])) && close($f) }
sub call { syscall($number{$_[0]}, @_[1 .. $#_]) >= 0 }
"""

# name: (what is tried, in the manual's words; the script)
ATTACKS = {
    "signals": ("kill, stop, interrupt or hang up the relay", r"""
attempt($_, kill($_, $relay)) for qw(STOP TERM HUP INT QUIT SEGV XFSZ USR1 TSTP PIPE KILL);
"""),
    "pidfd": ("signal the relay or take its descriptors by a pidfd", r"""
my $pidfd = syscall($number{pidfd_open}, $relay, 0);
attempt("pidfd_send_signal", call("pidfd_signal", $pidfd, 9, 0, 0));
attempt("pidfd_getfd $_", call("pidfd_getfd", $pidfd, $_, 0)) for 0 .. 9;
"""),
    "ptrace": ("trace the relay", r"""
attempt("PTRACE_ATTACH", call("ptrace", 16, $relay, 0, 0));
attempt("PTRACE_SEIZE", call("ptrace", 0x4206, $relay, 0, 0));
"""),
    "memory": ("read or write the relay's memory", r"""
my $buffer = "x" x 64; my $iovec = pack("PQ", $buffer, 64);
attempt("process_vm_readv", call("readv", $relay, $iovec, 1, $iovec, 1, 0));
attempt("process_vm_writev", call("writev", $relay, $iovec, 1, $iovec, 1, 0));
attempt("mem to read", sysopen(my $a, "/proc/$relay/mem", O_RDONLY));
attempt("mem to write", sysopen(my $b, "/proc/$relay/mem", O_RDWR));
"""),
    "proc": ("look into the relay by /proc: descriptors, environment, mappings, files", r"""
attempt($_, look("/proc/$relay/$_"))
    for qw(environ maps smaps auxv syscall stack personality io pagemap);
attempt($_, defined readlink("/proc/$relay/$_")) for qw(exe cwd root ns/mnt);
attempt("fd", opendir(my $d, "/proc/$relay/fd"));
attempt("map_files", opendir(my $e, "/proc/$relay/map_files"));
attempt("descriptor $_", sysopen(my $f, "/proc/$relay/fd/$_", O_WRONLY)) for 0 .. 12;
"""),
    "limits": ("set limits of the relay, so that it dies, or a core file shows its memory", r"""
my $none = pack("QQ", 0, 0);
attempt("limit $_", call("prlimit", $relay, $_, $none, 0)) for 0 .. 9;
"""),
    "out-of-memory": ("offer the relay to the out-of-memory killer", r"""
attempt($_, put("/proc/$relay/$_", "1")) for qw(oom_score_adj oom_adj coredump_filter clear_refs);
"""),
    "spool-read": ("list or read the spool", r"""
for my $path ($spool, "$spool/journals", "$spool/sealed") { attempt($path, opendir(my $d, $path)) }
attempt("stat", defined((stat($victim))[2]));
attempt("read", sysopen(my $f, $victim, O_RDONLY));
"""),
    "spool-write": ("write, truncate, rename, link or remove a journal, or the spool", r"""
attempt("write", sysopen(my $a, $victim, O_WRONLY));
attempt("append", sysopen(my $b, $victim, O_WRONLY | O_APPEND));
attempt("truncate", truncate($victim, 0));
attempt("unlink", unlink($victim));
attempt("rename", rename($victim, "/tmp/taken.$$"));
attempt("rename over it", do { open(my $f, ">", "/tmp/mine.$$"); rename("/tmp/mine.$$", $victim) });
attempt("hard link", link($victim, "/tmp/linked.$$"));
attempt("open by a symbolic link", symlink($victim, "/tmp/named.$$") && sysopen(my $c, "/tmp/named.$$", O_RDWR));
unlink("/tmp/mine.$$", "/tmp/named.$$");
attempt("chmod", chmod(0777, $victim));
attempt("chmod of the spool", chmod(0777, $spool));
attempt("chown", chown($<, -1, $victim));
attempt("utime", utime(1, 1, $victim));
attempt("rename of the spool", rename($spool, "$spool.away"));
attempt("rmdir", rmdir("$spool/journals"));
"""),
    "spool-forge": ("put a journal of one's own into the spool, or fill it", r"""
for my $path ("$spool/journals/0.journal", "$spool/filler", "$spool/sealed/0.cast.gz") {
    attempt($path, sysopen(my $f, $path, O_WRONLY | O_CREAT, 0666)); }
attempt("symlink", symlink("/etc/passwd", "$spool/journals/1.journal"));
attempt("mkdir", mkdir("$spool/journals/2"));
"""),
    "settings": ("change who is recorded and where, or the programs", r"""
attempt("read settings", sysopen(my $a, "/etc/castbucket/settings.json", O_RDONLY));
attempt($_, sysopen(my $f, $_, O_WRONLY)) for "/etc/castbucket/settings.json",
    "/etc/castbucket/shell.conf", "/etc/passwd", $shell;
attempt("a file beside", sysopen(my $b, "/etc/castbucket/x", O_WRONLY | O_CREAT, 0644));
attempt("unlink", unlink("/etc/castbucket/shell.conf"));
attempt("unlink the shell", unlink($shell));
"""),
    "change-shell": ("get another login shell", r"""
my $before = (getpwuid($<))[8];
system("chsh -s /bin/sh </dev/null >/dev/null 2>&1"); endpwent(); $! = 1;
attempt("chsh", (getpwuid($<))[8] ne $before);
"""),
    "own-terminal": ("write past the recording to the terminal that sshd gave, or type into it", r"""
my $mine = readlink("/proc/self/fd/0"); my $tried = 0;
for my $path (glob("/dev/pts/[0-9]*")) {
    next if $path eq $mine;
    $tried++; my $f;
    my $open = sysopen($f, $path, O_RDWR | O_NOCTTY);
    attempt("open $path", $open);
    if ($open) { syswrite($f, "PAST\r\n"); my $c = "x"; attempt("TIOCSTI", ioctl($f, 0x5412, $c)) } }
for my $pid (map { m,(\d+), } glob("/proc/[0-9]*")) {
    next if slurp("/proc/$pid/comm") !~ /^(sshd|castbucket-shel)/;
    attempt("descriptor $_ of $pid", sysopen(my $f, "/proc/$pid/fd/$_", O_RDWR | O_NOCTTY)) for 0 .. 20; }
"""),
    "options": ("start castbucket-shell with a plugin, settings, a socket or a shell of one's own", r"""
for my $option ("plugin=/tmp/x.so", "settings=/tmp/x.json", "socket=other", "shell=/usr/bin/env") {
    my ($name, $value) = split(/=/, $option);
    my $said = `$shell --$name $value -c 'echo ran' 2>&1`;
    attempt($name, $said =~ /^ran/m || $? >> 8 != 125); }
"""),
    "start-limited": ("start it with limits under which a recording must end early", r"""
for my $limit ("-f 0", "-n 10", "-v 20000", "-d 1000", "-s 100") {
    my $said = `ulimit $limit; $shell -c 'echo ran' 2>&1`;
    attempt("ulimit $limit", $said =~ /^ran/m || $? == 0); }
"""),
    "start-unprivileged": ("start it traced, in a user name space or so that set-user-ID has no effect",
                           r"""
for my $how ("setpriv --no-new-privs", "unshare --user --map-root-user") {
    my $said = `$how $shell -c 'echo ran' 2>&1`;
    attempt($how, $said =~ /^ran/m || $? == 0); }
my $pid = fork();
if (!$pid) { open(STDOUT, ">", "/dev/null"); open(STDERR, ">&", \*STDOUT);
             syscall($number{ptrace}, 0, 0, 0, 0); exec($shell, "-c", "true") }
waitpid($pid, 2);
while (slurp("/proc/$pid/stat") =~ /\) [tT] /) {
    syscall($number{ptrace}, 7, $pid, 0, 0); waitpid($pid, 2); }
attempt("traced", $? == 0);
"""),
    "endless": ("nest castbucket-shell without end", r"""
my $command = "echo deepest"; my $quoted;
for (1 .. 40) { ($quoted = $command) =~ s/'/'\\''/g; last if length($quoted) > 20000;
                $command = "exec $shell -c \"\$AGAIN\""; }
$ENV{AGAIN} = "exec $shell -c \"\$AGAIN\"";
my $said = `$shell -c "\$AGAIN" 2>&1`;
attempt("nest", $? == 0 || $said !~ /refused: it runs within itself/);
"""),
    "core": ("have the relay dump core where one can read it", r"""
system("ulimit -c unlimited; $shell -c 'kill -SEGV \$PPID; kill -QUIT \$PPID' 2>/dev/null");
attempt("core", scalar(glob("core* $ENV{HOME}/core[.0-9]* /tmp/core*")) && -e (glob("core*"))[0]);
"""),
}


def script(name, spool, victim, shell):
    """The command that makes the attempt, for ssh."""
    text = PRELUDE + ATTACKS[name][1] + 'print "%s\\n";' % FINISHED.decode().strip()
    return "perl -e " + shlex.join([text, spool, victim, shell])


def judge(name, done, terminal=False):
    """What the person saw must say that each try failed, and that there were some."""
    shown = done.replace(b"\r\n", b"\n") if terminal else done
    assert shown.endswith(FINISHED), (name, shown[-2000:])
    assert b"no relay found" not in shown and b"failed, " in shown, (name, shown[-2000:])
    lucky = [line for line in shown.splitlines() if SUCCEEDED in line]
    assert not lucky, (name, lucky)
