/* The command line: what is understood, what is refused, and with which words. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "recorder/cli/commands.h"
#include "recorder/settings/settings.h"

/* The frame is not in the library; it is tested with a table of its own. */
#include "recorder/cli/cli.c"
#include "recorder/cli/help.c"
#include "recorder/cli/nearest.c"
#include "recorder/cli/run.c"

static struct cli_arguments seen;
static int least, most;

static int remember(const struct cli_command *command, int argc, char **argv)
{
    int rc = cli_parse(command, argc, argv, least, most, &seen);
    return rc >= 0 ? rc : 42;
}

static const struct cli_option options[] = {
    {"org", 'o', "ORG", "the organization"},
    {"json", 'j', NULL, "as JSON"},
    {"raw", 'r', NULL, "as it is"},
    {0},
};
static const struct cli_command fetch = {"fetch", "ID", "fetches", "", options, remember};
static const struct cli_command tree_cut = {"tree cut", "", "cuts", "More.", options, remember};
const struct cli_command *const cli_commands[] = {&fetch, &tree_cut, NULL};
const struct cli_group cli_groups[] = {{"tree", "About trees.", NULL}, {0}};

/* Runs a command line of words separated by a space; what it wrote goes to `out` and `err`. */
static char out[16384], err[16384];

static int capture(int fd, FILE **file)
{
    int saved = dup(fd);
    assert_true(saved >= 0);
    *file = tmpfile();
    assert_non_null(*file);
    assert_true(dup2(fileno(*file), fd) >= 0);
    return saved;
}

static void release(int fd, int saved, FILE *file, char *text, size_t size)
{
    assert_true(dup2(saved, fd) >= 0);
    close(saved);
    ssize_t got = pread(fileno(file), text, size - 1, 0);
    assert_true(got >= 0);
    text[got] = '\0';
    fclose(file);
}

static int run(const char *line)
{
    static char words[512]; /* what was parsed points into it */
    char *argv[32] = {(char[]){"castbucket"}};
    int argc = 1;
    snprintf(words, sizeof(words), "%s", line);
    for (char *word = words; *word && argc < 31;) {
        char *space = strchr(word, ' ');
        argv[argc++] = word;
        if (!space)
            break;
        *space = '\0';
        word = space + 1;
    }
    FILE *out_file, *err_file;
    fflush(NULL);
    int saved_out = capture(1, &out_file), saved_err = capture(2, &err_file);
    int rc = cli_main(argc, argv);
    release(1, saved_out, out_file, out, sizeof(out));
    release(2, saved_err, err_file, err, sizeof(err));
    return rc;
}

static const char *value(const char *name)
{
    const char *given = cli_value(&fetch, &seen, name);
    return given ? given : "(none)";
}

static void operands(int from, int to)
{
    least = from;
    most = to;
}

static void options_are_understood_in_every_form(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "fetch ID --org acme --json", "fetch --org=acme --json ID", "fetch -o acme ID -j",
        "fetch -oacme -j ID",         "fetch -joacme ID",           "fetch -jo acme ID",
        "fetch --json -o acme -- ID",
    };
    operands(1, 1);
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        assert_int_equal(run(forms[i]), 42);
        assert_string_equal(value("org"), "acme");
        assert_string_equal(value("json"), "");
        assert_string_equal(value("raw"), "(none)");
        assert_int_equal(seen.operand_count, 1);
        assert_string_equal(seen.operand[0], "ID");
    }
    assert_int_equal(run("fetch --org= -- --org"), 42);
    assert_string_equal(value("org"), "");
    assert_string_equal(seen.operand[0], "--org");
    assert_int_equal(run("fetch -"), 42);
    assert_string_equal(seen.operand[0], "-");
}

static void a_wrong_command_line_is_named_and_exits_2(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } examples[] = {
        {"fetch", "castbucket fetch: ID is missing"},
        {"fetch a b", "unexpected word 'b': only ID is expected"},
        {"fetch a --ogr x", "unknown option --ogr; did you mean --org?"},
        {"fetch a --setings=x", "did you mean --settings?"},
        {"fetch a --wholly-unlike", "unknown option --wholly-unlike\n"},
        {"fetch a -x", "unknown option -x"},
        {"fetch a --org", "--org needs a value: ORG"},
        {"fetch a -o", "-o needs a value: ORG"},
        {"fetch a --json=1", "--json takes no value"},
        {"fetch a -o x --org=y", "--org is given twice"},
        {"fetch a -jj", "--json is given twice"},
        {"fetch a --settings x --settings y", "--settings is given twice"},
        {"fetch a --settings=", "--settings needs the name of a file"},
        {"fetch a --\x1b[2J", "unknown option --\\x1b[2J"},
        {"fecth a", "unknown command 'fecth'; did you mean 'fetch'?"},
        {"tree", "Usage: castbucket tree COMMAND"},
        {"tree cute", "unknown command 'tree cute'; did you mean 'tree cut'?"},
        {"xyzzy", "unknown command 'xyzzy'\nTry 'castbucket --help'."},
        {"\x1b[2J", "unknown command '\\x1b[2J'"},
        {"", "Usage: castbucket COMMAND"},
        {"--org", "unknown command '--org'"},
    };
    operands(1, 1);
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
        assert_int_equal(run(examples[i].line), CLI_USAGE);
        assert_string_equal(out, "");
        if (!strstr(err, examples[i].says))
            fail_msg("'%s' said '%s', not '%s'", examples[i].line, err, examples[i].says);
    }
    operands(0, 0);
    assert_int_equal(run("fetch a"), CLI_USAGE);
    assert_non_null(strstr(err, "unexpected word 'a'\n"));
}

static void more_operands_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    operands(0, CLI_MAX_OPERANDS);
    assert_int_equal(run("fetch 1 2 3 4 5 6 7 8"), 42);
    assert_string_equal(seen.operand[7], "8");
    assert_int_equal(run("fetch 1 2 3 4 5 6 7 8 9"), CLI_USAGE);
    assert_non_null(strstr(err, "unexpected word '9'"));
}

static void help_comes_from_the_tables(void **state)
{
    (void)state;
    operands(1, 1);
    assert_int_equal(run("--help"), CLI_OK);
    assert_non_null(strstr(out, "  tree cut                cuts\n"));
    assert_int_equal(run("fetch --help"), CLI_OK);
    assert_non_null(strstr(out, "Usage: castbucket fetch ID [OPTION...]\n"));
    assert_non_null(strstr(out, "  -o, --org ORG           the organization\n"));
    assert_non_null(strstr(out, "  -h, --help              show this help\n"));
    assert_int_equal(run("tree cut -jh"), CLI_OK);
    assert_non_null(strstr(out, "\nMore.\n"));
    assert_int_equal(run("tree --help"), CLI_OK);
    assert_non_null(strstr(out, "About trees."));
    assert_null(strstr(out, "fetches"));
    assert_string_equal(err, "");
    assert_int_equal(run("--version"), CLI_OK);
    assert_string_equal(out, "castbucket " CASTBUCKET_VERSION "\n");
    for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 80);
}

static void the_settings_file_is_the_option_or_the_environment_or_the_default(void **state)
{
    (void)state;
    operands(0, 0);
    setenv(SETTINGS_ENVIRONMENT, "/from/environment", 1);
    assert_int_equal(run("fetch --settings /given"), 42);
    assert_string_equal(seen.settings, "/given");
    assert_int_equal(run("fetch"), 42);
    assert_string_equal(seen.settings, "/from/environment");
    setenv(SETTINGS_ENVIRONMENT, "", 1);
    assert_int_equal(run("fetch"), 42);
    assert_string_equal(seen.settings, SETTINGS_DEFAULT_PATH);
    unsetenv(SETTINGS_ENVIRONMENT);
}

static void output_that_does_not_arrive_is_a_failure(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK))
        skip();
    fflush(stdout);
    int saved = dup(1), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    FILE *err_file;
    assert_true(saved >= 0 && full >= 0);
    int saved_err = capture(2, &err_file);
    assert_true(dup2(full, 1) >= 0);
    char *argv[] = {(char[]){"castbucket"}, (char[]){"--help"}, NULL};
    int rc = cli_main(2, argv);
    assert_true(dup2(saved, 1) >= 0);
    clearerr(stdout);
    release(2, saved_err, err_file, err, sizeof(err));
    close(saved);
    close(full);
    assert_int_equal(rc, CLI_FAILED);
    assert_non_null(strstr(err, "cannot write to standard output: No space"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_understood_in_every_form),
        cmocka_unit_test(a_wrong_command_line_is_named_and_exits_2),
        cmocka_unit_test(more_operands_than_there_is_room_for_are_refused),
        cmocka_unit_test(help_comes_from_the_tables),
        cmocka_unit_test(the_settings_file_is_the_option_or_the_environment_or_the_default),
        cmocka_unit_test(output_that_does_not_arrive_is_a_failure),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
