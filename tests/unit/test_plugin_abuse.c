/* A host that breaks the rules of recording_plugin.h, by mistake or because a stranger chose its
 * strings: castbucket.so answers, and nothing of the process or of other sessions suffers. */
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
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/recording_plugin.h"

static char folder[256], settings_path[300];
static recording_plugin_entry_fn *entry;
static const struct recording_plugin *plugin;
static struct recording_instance *instance;
static struct recording_error error;

static void drop_line(void *context, int level, const char *line)
{
    (void)context, (void)level;
    assert_null(strpbrk(line, "\n\x1b"));
}

static struct recording_host host = {
    .size = sizeof(host),
    .major = RECORDING_PLUGIN_MAJOR,
    .minor = RECORDING_PLUGIN_MINOR,
    .name = "test",
    .version = "1",
    .log = drop_line,
};

static int set_up(void **state)
{
    (void)state;
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
    entry = as.function;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/abuse.XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(settings_path, sizeof(settings_path), "%s/settings.json", folder);
    FILE *file = fopen(settings_path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"version\": 1, \"spool\": \"%s/spool\", \"organizations\": {\"acme\": {\"storage\": "
            "{\"type\": \"directory\", \"path\": \"%s/store\"}}}, \"sockets\": {\"web-1\": "
            "{\"organization\": \"acme\", \"recording\": true, \"input\": true}}}",
            folder, folder);
    assert_int_equal(fclose(file), 0);
    error = (struct recording_error){.size = sizeof(error)};
    plugin = entry(&host, &error);
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
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static const struct recording_session_info ordinary = {
    .size = sizeof(ordinary),
    .socket = "web-1",
    .user = "alice",
    .kind = RECORDING_SHELL,
    .has_terminal = 1,
    .columns = 80,
    .rows = 24,
};

static struct recording_session *open_with(const struct recording_session_info *info)
{
    struct recording_session *session = NULL;
    struct recording_answer answer = {.size = sizeof(answer)};
    plugin->session_open(instance, info, &session, &answer);
    assert_int_equal(answer.decision, RECORDING_RECORD);
    assert_non_null(session);
    return session;
}

static void a_host_that_is_no_host_is_told_so(void **state)
{
    (void)state;
    struct recording_host other = host;
    other.size = offsetof(struct recording_host, major);
    assert_null(entry(&other, &error));
    assert_string_not_equal(error.text, "");
    other.size = 0;
    assert_null(entry(&other, &error));
    assert_null(entry(NULL, &error));
    assert_null(entry(&other, NULL)); /* nowhere to say it, and that is all */
}

static void errors_are_written_only_where_there_is_room(void **state)
{
    (void)state;
    struct {
        struct recording_error error;
        char after[8];
    } small = {.after = "intact"};
    struct recording_instance *made = NULL;
    memset(small.error.text, '#', sizeof(small.error.text));
    small.error.size = offsetof(struct recording_error, text);
    assert_int_equal(plugin->create(&host, "/nonexistent/settings.json", &made, &small.error), -1);
    assert_int_equal(small.error.text[0], '#');
    small.error.size = sizeof(small.error);
    assert_int_equal(plugin->create(&host, "/nonexistent/settings.json", &made, &small.error), -1);
    assert_non_null(strstr(small.error.text, "/nonexistent/settings.json"));
    assert_int_equal(plugin->create(&host, "/nonexistent/settings.json", &made, NULL), -1);
    assert_string_equal(small.after, "intact");
}

static void a_session_that_says_nothing_of_itself_is_refused(void **state)
{
    (void)state;
    struct recording_session_info info = {.size = 0};
    struct recording_session *session = (void *)&info;
    struct recording_answer answer = {.size = sizeof(answer)};
    plugin->session_open(instance, &info, &session, &answer);
    assert_int_equal(answer.decision, RECORDING_REFUSE);
    assert_null(session);
    info = (struct recording_session_info){.size = sizeof(info), .socket = ""};
    plugin->session_open(instance, &info, &session, &answer);
    assert_int_equal(answer.decision, RECORDING_REFUSE);
    assert_null(session);
}

static void an_answer_without_room_for_a_decision_opens_nothing(void **state)
{
    (void)state;
    struct recording_session *session = NULL;
    struct recording_answer answer = {.size = offsetof(struct recording_answer, decision)};
    plugin->session_open(instance, &ordinary, &session, &answer);
    /* The host cannot know that it is recorded, so it will not close it. */
    assert_null(session);
}

static void values_that_mean_nothing_are_recorded_as_something_harmless(void **state)
{
    (void)state;
    struct recording_session_info info = ordinary;
    info.kind = 4711;
    info.has_terminal = 7;
    info.columns = info.rows = UINT32_MAX;
    struct recording_session *session = open_with(&info);
    assert_int_equal(plugin->output(session, 99, "x", 1), RECORDING_CONTINUE);
    assert_int_equal(plugin->output(session, -1, NULL, 0), RECORDING_CONTINUE);
    assert_int_equal(plugin->input(session, NULL, 0), RECORDING_CONTINUE);
    assert_int_equal(plugin->resize(session, 0, UINT32_MAX), RECORDING_CONTINUE);
    assert_int_equal(plugin->marker(session, NULL), RECORDING_CONTINUE);
    assert_int_equal(plugin->marker(session, ""), RECORDING_CONTINUE);
    struct recording_exit how = {.size = sizeof(how), .end = 4711, .status = UINT32_MAX};
    assert_int_equal(plugin->session_close(session, &how), RECORDING_CONTINUE);
    assert_int_equal(plugin->session_close(open_with(&ordinary), NULL), RECORDING_CONTINUE);
    how.size = 0;
    assert_int_equal(plugin->session_close(open_with(&ordinary), &how), RECORDING_CONTINUE);
    assert_int_equal(plugin->session_close(NULL, &how), RECORDING_CONTINUE);
}

static void strings_of_strangers_are_only_strings(void **state)
{
    (void)state;
    static char long_text[1 << 20];
    memset(long_text, 0xff, sizeof(long_text) - 1);
    const char *const texts[] = {
        "",        "\n\r\t\x1b[2J", "../../../etc/passwd", "\xc0\x80\xed\xa0\x80", "%s%n",
        "\"},{\"", long_text};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct recording_session_info info = ordinary;
        info.user = info.key_fingerprint = info.target_user = info.target_address = texts[i];
        info.client_address = info.command = info.term = info.connection_id = texts[i];
        struct recording_session *session = open_with(&info);
        assert_int_equal(plugin->marker(session, texts[i]), RECORDING_CONTINUE);
        struct recording_exit how = {.size = sizeof(how),
                                     .end = RECORDING_SIGNALED,
                                     .signal = texts[i],
                                     .message = texts[i]};
        assert_int_equal(plugin->session_close(session, &how), RECORDING_CONTINUE);
        /* As the socket's name it decides nothing but a refusal. */
        struct recording_answer answer = {.size = sizeof(answer)};
        info.socket = texts[i];
        plugin->session_open(instance, &info, &session, &answer);
        assert_int_equal(answer.decision, RECORDING_REFUSE);
        assert_null(strpbrk(answer.reason, "\n\x1b"));
    }
}

static void destroying_nothing_does_nothing(void **state)
{
    (void)state;
    plugin->destroy(NULL);
    assert_int_equal(plugin->quiesce(instance, 0, &error), 0); /* nobody started it */
    assert_int_equal(plugin->quiesce(instance, UINT32_MAX, NULL), 0);
}

/* The signals that a thread of this process blocks, as /proc has them. */
static unsigned long long blocked_by(const char *thread)
{
    char path[300], line[200];
    unsigned long long blocked = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%s/status", thread);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        sscanf(line, "SigBlk: %llx", &blocked);
    fclose(file);
    return blocked;
}

static void other_threads_block_all_signals(void)
{
    const struct dirent *entry_of;
    char own[24];
    int others = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    snprintf(own, sizeof(own), "%d", (int)gettid());
    while ((entry_of = readdir(tasks))) {
        if (entry_of->d_name[0] == '.' || strcmp(entry_of->d_name, own) == 0)
            continue;
        unsigned long long blocked = blocked_by(entry_of->d_name);
        static const int numbers[] = {SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGCHLD, SIGALRM};
        for (size_t i = 0; i < 6; i++)
            assert_true(blocked >> (numbers[i] - 1) & 1);
        others++;
    }
    closedir(tasks);
    assert_true(others > 0);
}

static void the_process_stays_the_hosts(void **state)
{
    (void)state;
    static const int numbers[] = {SIGPIPE, SIGCHLD, SIGTERM, SIGHUP, SIGALRM, SIGUSR1};
    struct sigaction before[6], after;
    char old_directory[PATH_MAX], directory[PATH_MAX];
    sigset_t mask, mask_after;
    mode_t old_umask = umask(0057);
    for (size_t i = 0; i < 6; i++)
        sigaction(numbers[i], NULL, &before[i]);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_non_null(getcwd(old_directory, sizeof(old_directory)));
    char *locale = strdup(setlocale(LC_ALL, NULL));

    assert_int_equal(plugin->start(instance, &error), 0);
    struct recording_session *session = open_with(&ordinary);
    assert_int_equal(plugin->output(session, RECORDING_STDOUT, "x", 1), RECORDING_CONTINUE);
    plugin->session_close(session, NULL);
    other_threads_block_all_signals();
    assert_int_equal(plugin->quiesce(instance, 10000, &error), 0);

    for (size_t i = 0; i < 6; i++) {
        sigaction(numbers[i], NULL, &after);
        assert_ptr_equal(after.sa_handler, before[i].sa_handler);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (int number = 1; number < SIGRTMIN; number++)
        assert_int_equal(sigismember(&mask, number), sigismember(&mask_after, number));
    assert_int_equal(umask(old_umask), 0057);
    assert_string_equal(getcwd(directory, sizeof(directory)), old_directory);
    assert_string_equal(setlocale(LC_ALL, NULL), locale);
    free(locale);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_host_that_is_no_host_is_told_so),
        TEST(errors_are_written_only_where_there_is_room),
        TEST(a_session_that_says_nothing_of_itself_is_refused),
        TEST(an_answer_without_room_for_a_decision_opens_nothing),
        TEST(values_that_mean_nothing_are_recorded_as_something_harmless),
        TEST(strings_of_strangers_are_only_strings),
        TEST(destroying_nothing_does_nothing),
        TEST(the_process_stays_the_hosts),
    };
    return cmocka_run_group_tests_name("plugin_abuse", tests, NULL, NULL);
}
