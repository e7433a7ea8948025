/* castbucket.so through its one symbol, as a host uses it; what it wrote is read with the journal's
 * reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/recording_plugin.h"
#include "recorder/base/buffer.h"
#include "recorder/base/file.h"
#include "recorder/journal/journal.h"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define VERSION_TEXT TEXT(RECORDING_PLUGIN_MAJOR) "." TEXT(RECORDING_PLUGIN_MINOR)

static char folder[256], settings_path[300];
static struct buffer log_text;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct recording_plugin *plugin;
static struct recording_instance *instance;
static struct recording_error error;

static void keep_line(void *context, int level, const char *line)
{
    (void)context;
    pthread_mutex_lock(&log_lock);
    assert_null(strchr(line, '\n'));
    assert_int_equal(buffer_printf(&log_text, "%d %s\n", level, line), 0);
    pthread_mutex_unlock(&log_lock);
}

static struct recording_host host = {
    .size = sizeof(host),
    .major = RECORDING_PLUGIN_MAJOR,
    .minor = RECORDING_PLUGIN_MINOR,
    .name = "test",
    .version = "1",
    .log = keep_line,
};

static recording_plugin_entry_fn *entry(void)
{
    union {
        void *address;
        recording_plugin_entry_fn *function;
    } as;
    char self[PATH_MAX], path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(length > 0);
    self[length] = '\0';
    snprintf(path, sizeof(path), "%s/../../castbucket.so", dirname(self));
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail_msg("%s", dlerror());
    as.address = dlsym(library, RECORDING_PLUGIN_SYMBOL);
    assert_non_null(as.address);
    return as.function;
}

static void write_settings(const char *spool)
{
    struct buffer text = BUFFER_INIT(1 << 20);
    assert_int_equal(
        buffer_printf(&text,
                      "{\"version\": 1, \"spool\": \"%s/%s\", \"cast_version\": 3,"
                      "\"organizations\": {\"acme\": {\"storage\": {\"type\": \"directory\","
                      "\"path\": \"%s/store\"}}}, \"sockets\": {",
                      folder, spool, folder),
        0);
    static const char *const sockets[][3] = {
        {"web-1", "true", "end"},
        {"off", "false", "end"},
        {"refuse", "true", "refuse"},
        {"continue", "true", "continue"},
    };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(buffer_printf(&text,
                                       "\"%s\": {\"organization\": \"acme\", \"recording\": %s,"
                                       "\"on_failure\": \"%s\"},",
                                       sockets[i][0], sockets[i][1], sockets[i][2]),
                         0);
    assert_int_equal(buffer_append_text(&text, "\"keys\": {\"organization\": \"acme\","
                                               "\"recording\": true, \"input\": true}}}"),
                     0);
    assert_int_equal(file_write_atomic(AT_FDCWD, settings_path, text.data, text.length, 0600, NULL),
                     0);
    buffer_free(&text);
}

static int set_up(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/plugin.XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    snprintf(settings_path, sizeof(settings_path), "%s/settings.json", folder);
    log_text = BUFFER_INIT(1 << 20);
    error = (struct recording_error){.size = sizeof(error)};
    write_settings("spool");
    plugin = entry()(&host, &error);
    if (!plugin || plugin->create(&host, settings_path, &instance, &error))
        fail_msg("%s", error.text);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static int clean_up(void **state)
{
    (void)state;
    plugin->destroy(instance);
    buffer_free(&log_text);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool there(const char *name)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* ---- the host's part ------------------------------------------------------------------------- */

static struct recording_answer answer;

static uint32_t kind = RECORDING_EXEC;
static const char *command = "id";

static struct recording_session *open_session(const char *socket, bool terminal)
{
    struct recording_session *session = NULL;
    struct recording_session_info info = {
        .size = sizeof(info),
        .socket = socket,
        .user = "alice\nroot: forged",
        .key_fingerprint = "SHA256:abc",
        .target_user = "root",
        .target_address = "10.0.0.1:22",
        .client_address = "10.0.0.2:5555",
        .command = command,
        .term = "xterm",
        .connection_id = "c-1",
        .kind = kind,
        .has_terminal = terminal,
        .columns = 80,
        .rows = 24,
    };
    answer = (struct recording_answer){.size = sizeof(answer), .decision = 99};
    plugin->session_open(instance, &info, &session, &answer);
    assert_int_equal(answer.decision == RECORDING_RECORD, session != NULL);
    assert_int_equal(answer.decision == RECORDING_RECORD, answer.session_id[0] != '\0');
    assert_int_equal(answer.decision == RECORDING_RECORD, answer.reason[0] == '\0');
    return session;
}

static int close_session(struct recording_session *session, uint32_t status)
{
    struct recording_exit how = {.size = sizeof(how), .end = RECORDING_EXITED, .status = status};
    return plugin->session_close(session, &how);
}

static int out(struct recording_session *session, const char *text)
{
    return plugin->output(session, RECORDING_STDOUT, text, strlen(text));
}

/* ---- the recorder's part --------------------------------------------------------------------- */

static int journals; /* the spool's directory */

static struct journal_reader *read_back(const char *id)
{
    char path[600], name[128];
    struct journal_reader *reader;
    struct error cause = ERROR_INIT;
    snprintf(path, sizeof(path), "%s/spool/journals", folder);
    snprintf(name, sizeof(name), "%s.journal", id);
    journals = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal_reader_open(journals, name, &reader, &cause))
        fail_msg("%s", cause.text);
    return reader;
}

static void expect(struct journal_reader *reader, enum journal_type type, const char *text)
{
    struct journal_frame frame;
    struct error cause = ERROR_INIT;
    if (journal_reader_next(reader, &frame, &cause) != JOURNAL_FRAME)
        fail_msg("no frame where %d '%s' should be: %s", type, text, cause.text);
    assert_int_equal(frame.type, type);
    assert_int_equal(frame.length, strlen(text));
    assert_memory_equal(frame.data, text, frame.length);
}

static void expect_end(struct journal_reader *reader, uint32_t status)
{
    struct journal_frame frame;
    struct journal_end end;
    assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
    assert_int_equal(frame.type, JOURNAL_END);
    assert_int_equal(journal_reader_end(reader, &frame, &end, NULL), 0);
    assert_int_equal(end.kind, JOURNAL_EXITED);
    assert_int_equal(end.status, status);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_WAIT);
    assert_true(journal_reader_writer_gone(reader));
    journal_reader_free(reader);
    close(journals);
}

/* ---- a disk that is full --------------------------------------------------------------------- */

/* No file may grow beyond this, which to fallocate() is like a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static char block[20000];

static int fill_up(struct recording_session *session, int *whole)
{
    int verdict;
    *whole = 0;
    limit_files(200000);
    while ((verdict = plugin->output(session, RECORDING_STDOUT, block, sizeof(block))) ==
           RECORDING_CONTINUE)
        assert_true(++*whole < 20);
    return verdict;
}

static void expect_blocks(struct journal_reader *reader, int count)
{
    struct journal_frame frame;
    while (count--) {
        assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
        assert_int_equal(frame.type, JOURNAL_STDOUT);
        assert_int_equal(frame.length, sizeof(block));
    }
}

static void expect_gap(struct journal_reader *reader, uint64_t bytes)
{
    struct journal_frame frame;
    uint64_t lost;
    assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
    assert_int_equal(frame.type, JOURNAL_GAP);
    assert_int_equal(frame.length, sizeof(lost));
    memcpy(&lost, frame.data, sizeof(lost));
    assert_int_equal(lost, bytes);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void create_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_false(there("spool"));
    assert_false(there("store"));
}

static void settings_that_are_not_valid_fail_create_naming_the_file(void **state)
{
    (void)state;
    struct recording_instance *other;
    char path[600];
    snprintf(path, sizeof(path), "%s/none.json", folder);
    assert_int_equal(plugin->create(&host, path, &other, &error), -1);
    assert_non_null(strstr(error.text, "none.json"));
    assert_int_equal(
        file_write_atomic(AT_FDCWD, path, "{\"version\": 1, \"x\": 2}", 22, 0600, NULL), 0);
    assert_int_equal(plugin->create(&host, path, &other, &error), -1);
    assert_non_null(strstr(error.text, "none.json"));
    assert_non_null(strstr(error.text, "x"));
}

static void a_host_of_another_major_is_refused_naming_both_versions(void **state)
{
    (void)state;
    struct recording_host other = host;
    other.major = 9;
    other.minor = 4;
    assert_null(entry()(&other, &error));
    assert_non_null(strstr(error.text, "9.4"));
    assert_non_null(strstr(error.text, VERSION_TEXT));
}

static void a_session_is_recorded_with_its_facts(void **state)
{
    (void)state;
    struct recording_session *session = open_session("web-1", true);
    assert_non_null(session);
    assert_int_equal(out(session, "hello"), RECORDING_CONTINUE);
    assert_int_equal(out(session, ""), RECORDING_CONTINUE);
    assert_int_equal(plugin->input(session, "not kept", 8), RECORDING_CONTINUE);
    assert_int_equal(plugin->output(session, RECORDING_STDERR, "oh", 2), RECORDING_CONTINUE);
    assert_int_equal(plugin->resize(session, 100, 50), RECORDING_CONTINUE);
    assert_int_equal(plugin->marker(session, "signal INT"), RECORDING_CONTINUE);

    struct journal_reader *reader = read_back(answer.session_id);
    const struct journal_meta *meta = journal_reader_meta(reader);
    assert_string_equal(meta->id, answer.session_id);
    assert_string_equal(meta->organization, "acme");
    assert_string_equal(meta->socket, "web-1");
    assert_string_equal(meta->user, "alice\nroot: forged");
    assert_string_equal(meta->command, "id");
    assert_string_equal(meta->connection_id, "c-1");
    assert_int_equal(meta->kind, JOURNAL_EXEC);
    assert_int_equal(meta->columns, 80);
    assert_int_equal(meta->cast_version, 3);
    assert_int_equal(meta->input_recorded, 0);
    expect(reader, JOURNAL_STDOUT, "hello");
    expect(reader, JOURNAL_STDERR, "oh");
    struct journal_frame frame;
    assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
    assert_int_equal(frame.type, JOURNAL_RESIZE);
    assert_memory_equal(frame.data, "\x64\0\0\0\x32\0\0\0", 8);
    expect(reader, JOURNAL_MARKER, "signal INT");
    assert_int_equal(close_session(session, 3), RECORDING_CONTINUE);
    expect_end(reader, 3);
}

static void opening_and_closing_log_one_line_each_whatever_the_names(void **state)
{
    (void)state;
    struct recording_session *session = open_session("web-1", true);
    out(session, "12345");
    close_session(session, 0);
    int lines = 0;
    for (const char *p = log_text.data; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 2);
    assert_non_null(strstr(log_text.data, "acme"));
    assert_non_null(strstr(log_text.data, "web-1"));
    assert_non_null(strstr(log_text.data, "alice\\nroot: forged"));
    assert_non_null(strstr(log_text.data, "5 bytes out"));
}

static void a_socket_with_recording_off_leaves_nothing(void **state)
{
    (void)state;
    assert_null(open_session("off", true));
    assert_int_equal(answer.decision, RECORDING_IGNORE);
    assert_non_null(strstr(answer.reason, "off"));
    assert_false(there("spool"));
}

static void sockets_that_are_unknown_are_refused(void **state)
{
    (void)state;
    static char many[5000];
    memset(many, 'x', sizeof(many) - 1);
    const char *const names[] = {"web-2", "", NULL, "../../x", "web-1\n", "%2e%2e", many};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        assert_null(open_session(names[i], false));
        assert_int_equal(answer.decision, RECORDING_REFUSE);
        assert_null(strchr(answer.reason, '\n'));
    }
    assert_false(there("spool"));
}

static void input_without_a_terminal_is_recorded_as_it_is(void **state)
{
    (void)state;
    struct recording_session *session = open_session("keys", false);
    assert_int_equal(plugin->input(session, "data", 4), RECORDING_CONTINUE);
    struct journal_reader *reader = read_back(answer.session_id);
    assert_int_equal(journal_reader_meta(reader)->input_recorded, 1);
    expect(reader, JOURNAL_INPUT, "data");
    close_session(session, 0);
    expect_end(reader, 0);
}

/* The requests of a transfer are what the person's side sends: the setting is about typing. */
static void both_directions_of_a_transfer_are_journaled_as_they_are(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind;
        const char *command, *transfer, *socket;
        bool terminal;
    } cases[] = {
        {RECORDING_SUBSYSTEM, "sftp", "sftp", "web-1", false},
        {RECORDING_EXEC, "scp -t /srv", "scp-to", "web-1", false},
        {RECORDING_EXEC, "scp -f /srv/x", "scp-from", "keys", false},
        {RECORDING_EXEC, "scp -t /srv", "", "web-1", true},
        {RECORDING_EXEC, "sftp", "", "web-1", false},
        {RECORDING_SHELL, NULL, "", "web-1", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        kind = cases[i].kind;
        command = cases[i].command;
        struct recording_session *session = open_session(cases[i].socket, cases[i].terminal);
        kind = RECORDING_EXEC;
        command = "id";
        assert_non_null(session);
        assert_int_equal(plugin->input(session, "asked", 5), RECORDING_CONTINUE);
        assert_int_equal(out(session, "answered"), RECORDING_CONTINUE);
        struct journal_reader *reader = read_back(answer.session_id);
        assert_string_equal(journal_reader_meta(reader)->transfer, cases[i].transfer);
        assert_string_equal(journal_reader_meta(reader)->contents, "");
        if (*cases[i].transfer)
            expect(reader, JOURNAL_INPUT, "asked");
        expect(reader, JOURNAL_STDOUT, "answered");
        close_session(session, 0);
        expect_end(reader, 0);
    }
}

static void input_at_a_terminal_is_masked_unless_it_is_echoed(void **state)
{
    (void)state;
    struct recording_session *session = open_session("keys", true);
    plugin->input(session, "su\r", 3);
    out(session, "su\r\nPassword: ");
    plugin->input(session, "hunter2\r", 8);
    out(session, "\r\n# ");
    plugin->input(session, "x", 1);
    close_session(session, 0);
    struct journal_reader *reader = read_back(answer.session_id);
    expect(reader, JOURNAL_INPUT, "su\r");
    expect(reader, JOURNAL_STDOUT, "su\r\nPassword: ");
    expect(reader, JOURNAL_INPUT, "*******\r");
    expect(reader, JOURNAL_STDOUT, "\r\n# ");
    expect(reader, JOURNAL_INPUT, "*");
    expect_end(reader, 0);
}

static void a_full_disk_ends_the_session_when_settings_say_end(void **state)
{
    (void)state;
    int whole;
    struct recording_session *session = open_session("web-1", true);
    assert_int_equal(fill_up(session, &whole), RECORDING_END);
    limit_files(RLIM_INFINITY);
    assert_int_equal(out(session, "late"), RECORDING_END);
    assert_int_equal(close_session(session, 0), RECORDING_CONTINUE);
    struct journal_reader *reader = read_back(answer.session_id);
    expect_blocks(reader, whole);
    expect_gap(reader, sizeof(block) + 4);
    expect_end(reader, 0);
}

static void a_full_disk_leaves_a_marked_gap_when_settings_say_go_on(void **state)
{
    (void)state;
    static const char *const sockets[] = {"refuse", "continue"};
    for (int i = 0; i < 2; i++) {
        int whole;
        struct recording_session *session = open_session(sockets[i], true);
        assert_int_equal(fill_up(session, &whole), RECORDING_DEGRADED);
        assert_int_equal(plugin->output(session, RECORDING_STDOUT, block, sizeof(block)),
                         RECORDING_DEGRADED);
        limit_files(RLIM_INFINITY);
        assert_int_equal(out(session, "again"), RECORDING_CONTINUE);
        assert_int_equal(fill_up(session, &(int){0}), RECORDING_DEGRADED);
        assert_int_equal(close_session(session, 0), RECORDING_CONTINUE);
        limit_files(RLIM_INFINITY);
        struct journal_reader *reader = read_back(answer.session_id);
        expect_blocks(reader, whole);
        expect_gap(reader, 2 * sizeof(block));
        expect(reader, JOURNAL_STDOUT, "again");
        struct journal_frame frame;
        do
            assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
        while (frame.type == JOURNAL_STDOUT);
        assert_int_equal(frame.type, JOURNAL_GAP);
        expect_end(reader, 0);
    }
}

static void a_journal_that_cannot_be_made_is_answered_by_on_failure(void **state)
{
    (void)state;
    write_settings("settings.json/spool");
    assert_null(open_session("web-1", true));
    assert_int_equal(answer.decision, RECORDING_REFUSE);
    assert_null(strstr(answer.reason, folder));
    assert_null(open_session("refuse", true));
    assert_int_equal(answer.decision, RECORDING_REFUSE);
    assert_null(open_session("continue", true));
    assert_int_equal(answer.decision, RECORDING_IGNORE);
    assert_non_null(strstr(answer.reason, "not recorded"));
    assert_non_null(strstr(log_text.data, folder));
}

static void a_spool_that_was_removed_is_made_again(void **state)
{
    (void)state;
    close_session(open_session("web-1", true), 0);
    char path[600];
    snprintf(path, sizeof(path), "%s/spool", folder);
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    struct recording_session *session = open_session("web-1", true);
    assert_non_null(session);
    struct journal_reader *reader = read_back(answer.session_id);
    close_session(session, 0);
    expect_end(reader, 0);
}

static void settings_that_become_invalid_leave_the_old_ones_in_force(void **state)
{
    (void)state;
    assert_int_equal(file_write_atomic(AT_FDCWD, settings_path, "{", 1, 0600, NULL), 0);
    for (int i = 0; i < 3; i++) {
        struct recording_session *session = open_session("web-1", true);
        assert_non_null(session);
        close_session(session, 0);
    }
    char *warning = strstr(log_text.data, "settings.json");
    assert_non_null(warning);
    assert_null(strstr(strchr(warning, '\n'), "settings.json")); /* once */
    write_settings("spool");
    assert_null(open_session("off", true));
}

static void a_session_can_be_opened_in_a_forked_child(void **state)
{
    (void)state;
    int result[2];
    assert_int_equal(pipe(result), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct recording_session *session = open_session("web-1", true);
        bool good = session && out(session, "from the child") == RECORDING_CONTINUE &&
                    write(result[1], answer.session_id, 37) == 37;
        kill(getpid(), good ? SIGKILL : SIGTERM);
    }
    int status;
    char id[37] = "";
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(read(result[0], id, sizeof(id)), sizeof(id));
    close(result[0]);
    close(result[1]);
    struct journal_reader *reader = read_back(id);
    struct journal_frame frame;
    assert_true(journal_reader_writer_gone(reader));
    expect(reader, JOURNAL_STDOUT, "from the child");
    assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_WAIT);
    journal_reader_free(reader);
    close(journals);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* From here on the kernel kills this process at any system call but its exit. */
static void allow_no_system_call(void)
{
    static struct sock_filter allowed[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog filter = {.len = sizeof(allowed) / sizeof(*allowed), .filter = allowed};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        _exit(99);
}

static void output_makes_no_system_call_on_its_common_path(void **state)
{
    (void)state;
    const char *preloaded = getenv("LD_PRELOAD");
    if (SANITIZED || (preloaded && strstr(preloaded, "vgpreload")))
        skip(); /* theirs would be counted */
    for (int calls = 0; calls <= 500; calls += 500) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            int verdict = RECORDING_CONTINUE;
            struct recording_session *session = open_session("web-1", true);
            allow_no_system_call();
            for (int i = 0; i < calls && verdict == RECORDING_CONTINUE; i++)
                verdict = plugin->output(session, RECORDING_STDOUT, block, 64);
            if (calls)
                _exit(verdict);
            plugin->session_close(session, NULL); /* this does make some */
            _exit(98);
        }
        assert_true(child > 0 && waitpid(child, &status, 0) == child);
        if (calls)
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == RECORDING_CONTINUE);
        else
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    }
}

static void *carry_sessions(void *argument)
{
    int *good = argument;
    for (int i = 0; i < 20; i++) {
        struct recording_session *session = NULL;
        struct recording_session_info info = {
            .size = sizeof(info), .socket = "keys", .has_terminal = 1};
        struct recording_answer its = {.size = sizeof(its)};
        plugin->session_open(instance, &info, &session, &its);
        if (!session)
            break;
        for (int k = 0; k < 100; k++)
            if (plugin->input(session, "x", 1) || out(session, "x"))
                return NULL;
        *good += close_session(session, 0) == RECORDING_CONTINUE;
    }
    return NULL;
}

static void sessions_are_carried_by_many_threads_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    int good[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, carry_sessions, &good[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(good[i], 20);
    }
    int lines = 0;
    for (const char *p = log_text.data; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 4 * 20 * 2);
}

static void a_host_that_knows_less_is_served(void **state)
{
    (void)state;
    struct recording_session *session = NULL;
    struct recording_session_info info = {
        .size = offsetof(struct recording_session_info, key_fingerprint),
        .socket = "web-1",
        .user = "alice",
        .command = "beyond the end of what the host knows",
    };
    answer = (struct recording_answer){.size = offsetof(struct recording_answer, reason)};
    plugin->session_open(instance, &info, &session, &answer);
    assert_int_equal(answer.decision, RECORDING_RECORD);
    struct journal_reader *reader = read_back(answer.session_id);
    assert_string_equal(journal_reader_meta(reader)->user, "alice");
    assert_string_equal(journal_reader_meta(reader)->command, "");
    assert_int_equal(plugin->session_close(session, NULL), RECORDING_CONTINUE);
    journal_reader_free(reader);
    close(journals);
    assert_int_equal(plugin->session_close(NULL, NULL), RECORDING_CONTINUE);
}

static unsigned other_lines;

static void count_line(void *context, int level, const char *line)
{
    (void)context, (void)level, (void)line;
    other_lines++;
}

static void destroying_one_instance_leaves_the_log_of_another(void **state)
{
    (void)state;
    struct recording_host second = host;
    struct recording_instance *other = NULL;
    second.log = count_line;
    other_lines = 0;
    assert_int_equal(plugin->create(&second, settings_path, &other, &error), 0);
    assert_null(open_session("no-such-socket", false));
    assert_int_equal(other_lines, 1); /* the last one created gets the lines of both */
    plugin->destroy(other);
    size_t before = log_text.length;
    assert_null(open_session("no-such-socket", false));
    assert_int_equal(other_lines, 1);
    assert_true(log_text.length > before);

    /* And the other way round: the first is destroyed, the second still has its log. */
    assert_int_equal(plugin->create(&second, settings_path, &other, &error), 0);
    plugin->destroy(instance);
    instance = other;
    before = log_text.length;
    assert_null(open_session("no-such-socket", false));
    assert_int_equal(other_lines, 2);
    assert_int_equal(log_text.length, before);
    /* Here, because `second` is gone in clean_up(). */
    plugin->destroy(instance);
    instance = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_leaves_nothing_behind),
        TEST(settings_that_are_not_valid_fail_create_naming_the_file),
        TEST(a_host_of_another_major_is_refused_naming_both_versions),
        TEST(a_session_is_recorded_with_its_facts),
        TEST(opening_and_closing_log_one_line_each_whatever_the_names),
        TEST(a_socket_with_recording_off_leaves_nothing),
        TEST(sockets_that_are_unknown_are_refused),
        TEST(input_without_a_terminal_is_recorded_as_it_is),
        TEST(both_directions_of_a_transfer_are_journaled_as_they_are),
        TEST(input_at_a_terminal_is_masked_unless_it_is_echoed),
        TEST(a_full_disk_ends_the_session_when_settings_say_end),
        TEST(a_full_disk_leaves_a_marked_gap_when_settings_say_go_on),
        TEST(a_journal_that_cannot_be_made_is_answered_by_on_failure),
        TEST(a_spool_that_was_removed_is_made_again),
        TEST(settings_that_become_invalid_leave_the_old_ones_in_force),
        TEST(a_session_can_be_opened_in_a_forked_child),
        TEST(output_makes_no_system_call_on_its_common_path),
        TEST(sessions_are_carried_by_many_threads_at_once),
        TEST(a_host_that_knows_less_is_served),
        TEST(destroying_one_instance_leaves_the_log_of_another),
    };
    return cmocka_run_group_tests_name("plugin", tests, NULL, NULL);
}
