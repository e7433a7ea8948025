/* Loading a plugin: what fits is created, what does not is refused in words that help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <stdbool.h>

/* A library whose symbol is whatever the test says, in place of one that would have to be built for
 * each way of being wrong. Opening the real one is test_plugin.c's. */
static bool opens;
static void *symbol;
static int opened;

static void *fake_dlopen(const char *path, int flags)
{
    (void)path;
    assert_int_equal(flags, RTLD_NOW | RTLD_LOCAL);
    opened += opens;
    return opens ? &opened : NULL;
}

static int fake_dlclose(void *library)
{
    assert_ptr_equal(library, &opened);
    opened--;
    return 0;
}

static char fake_reason[] = "not an ELF file";

static char *fake_dlerror(void)
{
    return fake_reason;
}

static void *fake_dlsym(void *library, const char *name)
{
    assert_ptr_equal(library, &opened);
    assert_string_equal(name, "recording_plugin_entry");
    return symbol;
}

#define dlopen fake_dlopen
#define dlclose fake_dlclose
#define dlerror fake_dlerror
#define dlsym fake_dlsym
#include "hooks/common/answer.c"
#include "hooks/common/plugin_host.c"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define VERSION_TEXT TEXT(RECORDING_PLUGIN_MAJOR) "." TEXT(RECORDING_PLUGIN_MINOR)

static struct recording_plugin table;
static const char *entry_says, *create_says;
static const struct recording_host *seen_host;
static const char *seen_settings;
static int destroyed;

static const struct recording_plugin *entry(const struct recording_host *host,
                                            struct recording_error *error)
{
    seen_host = host;
    if (!entry_says)
        return &table;
    snprintf(error->text, sizeof(error->text), "%s", entry_says);
    return NULL;
}

static int create(const struct recording_host *host, const char *settings,
                  struct recording_instance **instance, struct recording_error *error)
{
    assert_ptr_equal(host, seen_host);
    seen_settings = settings;
    if (create_says) {
        snprintf(error->text, sizeof(error->text), "%s", create_says);
        return -1;
    }
    *instance = (void *)&table;
    return 0;
}

static int start(struct recording_instance *instance, struct recording_error *error)
{
    (void)instance, (void)error;
    return 0;
}

static void session_open(struct recording_instance *instance,
                         const struct recording_session_info *info,
                         struct recording_session **session, struct recording_answer *answer)
{
    (void)instance, (void)info, (void)session, (void)answer;
}

static int output(struct recording_session *session, int stream, const void *data, size_t length)
{
    (void)session, (void)stream, (void)data, (void)length;
    return 0;
}

static int input(struct recording_session *session, const void *data, size_t length)
{
    (void)session, (void)data, (void)length;
    return 0;
}

static int resize(struct recording_session *session, uint32_t columns, uint32_t rows)
{
    (void)session, (void)columns, (void)rows;
    return 0;
}

static int marker(struct recording_session *session, const char *label)
{
    (void)session, (void)label;
    return 0;
}

static int session_close(struct recording_session *session, const struct recording_exit *how)
{
    (void)session, (void)how;
    return 0;
}

static int quiesce(struct recording_instance *instance, uint32_t milliseconds,
                   struct recording_error *error)
{
    (void)instance, (void)milliseconds, (void)error;
    return 0;
}

static void destroy(struct recording_instance *instance)
{
    assert_ptr_equal(instance, &table);
    destroyed++;
}

static struct plugin_host host;
static struct recording_error error;
static const char *path = "/proc/self/exe"; /* any file that is there */

static int set_up(void **state)
{
    (void)state;
    union {
        void *address;
        recording_plugin_entry_fn *function;
    } as = {.function = entry};
    opens = true;
    symbol = as.address;
    opened = destroyed = 0;
    entry_says = create_says = NULL;
    error = (struct recording_error){.size = sizeof(error)};
    table = (struct recording_plugin){sizeof(table),
                                      RECORDING_PLUGIN_MAJOR,
                                      RECORDING_PLUGIN_MINOR,
                                      "fake",
                                      "1",
                                      create,
                                      start,
                                      session_open,
                                      output,
                                      input,
                                      resize,
                                      marker,
                                      session_close,
                                      quiesce,
                                      destroy};
    return 0;
}

static void expect_failure(const char *words, const char *more)
{
    assert_int_equal(plugin_host_load(&host, path, "s.json", "test", &error), -1);
    if (!strstr(error.text, path) || !strstr(error.text, words) || !strstr(error.text, more))
        fail_msg("said: %s", error.text);
    assert_int_equal(opened, 0);
    assert_null(host.plugin);
    assert_null(host.library);
    plugin_host_unload(&host);
}

static void a_plugin_that_fits_is_created_and_destroyed(void **state)
{
    (void)state;
    assert_int_equal(plugin_host_load(&host, path, "s.json", "test", &error), 0);
    assert_string_equal(seen_settings, "s.json");
    assert_ptr_equal(seen_host, &host.host);
    assert_string_equal(seen_host->name, "test");
    assert_int_equal(seen_host->size, sizeof(struct recording_host));
    assert_ptr_equal(host.plugin, &table);
    plugin_host_unload(&host);
    assert_int_equal(destroyed, 1);
    assert_int_equal(opened, 0);
}

static void a_newer_minor_and_a_larger_table_fit(void **state)
{
    (void)state;
    table.minor = 9;
    table.size += 800;
    assert_int_equal(plugin_host_load(&host, path, NULL, "test", &error), 0);
    plugin_host_unload(&host);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    path = "/nonexistent/plugin.so";
    expect_failure("No such file", "");
    path = "/proc/self/exe";
}

static void what_cannot_be_loaded_says_why(void **state)
{
    (void)state;
    opens = false;
    expect_failure("not an ELF file", "");
}

static void a_library_that_is_no_plugin_is_refused(void **state)
{
    (void)state;
    symbol = NULL;
    expect_failure("recording_plugin_entry", "");
}

static void another_major_is_refused_naming_both_versions(void **state)
{
    (void)state;
    table.major = 7;
    table.minor = 3;
    table.size = offsetof(struct recording_plugin, name);
    expect_failure("7.3", VERSION_TEXT);
}

static void a_table_too_small_or_with_holes_is_refused(void **state)
{
    (void)state;
    table.size = offsetof(struct recording_plugin, destroy);
    expect_failure("table", "bytes");
    table.size = 8;
    expect_failure("table", "8 bytes");
    table.size = sizeof(table);
    table.marker = NULL;
    expect_failure("function is missing", "");
}

static void the_plugins_own_words_come_through_on_one_line(void **state)
{
    (void)state;
    entry_says = "too\nold\x1b[2J";
    expect_failure("refuses", "too old [2J");
    entry_says = NULL;
    create_says = "settings.json: version: must be 1";
    expect_failure("settings.json: version", "");
    create_says = "";
    expect_failure("no reason", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_plugin_that_fits_is_created_and_destroyed, set_up),
        cmocka_unit_test_setup(a_newer_minor_and_a_larger_table_fit, set_up),
        cmocka_unit_test_setup(a_missing_file_is_named, set_up),
        cmocka_unit_test_setup(what_cannot_be_loaded_says_why, set_up),
        cmocka_unit_test_setup(a_library_that_is_no_plugin_is_refused, set_up),
        cmocka_unit_test_setup(another_major_is_refused_naming_both_versions, set_up),
        cmocka_unit_test_setup(a_table_too_small_or_with_holes_is_refused, set_up),
        cmocka_unit_test_setup(the_plugins_own_words_come_through_on_one_line, set_up),
    };
    return cmocka_run_group_tests_name("plugin_host", tests, NULL, NULL);
}
