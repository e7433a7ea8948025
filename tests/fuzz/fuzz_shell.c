/* What castbucket-shell reads: a line with the user's name, one with -c's argument, one with
 * SSH_ORIGINAL_COMMAND (empty: not given), and the rest as shell.conf and as the file behind
 * SSH_USER_AUTH, which the recorded person can write. */
#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#include "hooks/shell/authentication.h"
#include "hooks/shell/configuration.h"
#include "hooks/shell/options.h"
#include "hooks/shell/request.h"
#include "tests/fuzz/fuzz.h"

#define LONGEST_PATH 600

/* As a file that says the same. The length. */
static size_t write_out(const struct configuration *configuration, char *text)
{
    const char *const values[][2] = {{"plugin", configuration->plugin},
                                     {"settings", configuration->settings},
                                     {"socket", configuration->socket},
                                     {"shell", configuration->shell}};
    char *to = text + sprintf(text, "left_running = \"%s\"\n",
                              configuration->end_left_running ? "end" : "mark");
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        if (values[i][1])
            to += sprintf(to, "\t%s =\"%s\" # of it\r\n", values[i][0], values[i][1]);
    return (size_t)(to - text);
}

static void check_configuration(int folder, const char *path, const char *user)
{
    struct configuration configuration, again;
    static char text[2][2 * CONFIGURATION_MAX_FILE];
    if (configuration_read(&configuration, path, false, user)) {
        fuzz_require(!configuration.text && !configuration.plugin && !configuration.shell);
        return;
    }
    fuzz_require(!configuration.plugin || configuration.plugin[0] == '/');
    fuzz_require(!configuration.settings || configuration.settings[0] == '/');
    fuzz_require(!configuration.shell || configuration.shell[0] == '/');
    fuzz_require(!configuration.socket || configuration.socket[0]);
    size_t length = write_out(&configuration, text[0]);
    if (length <= CONFIGURATION_MAX_FILE) {
        fuzz_write(folder, "again", text[0], length);
        char other[LONGEST_PATH];
        snprintf(other, sizeof(other), "%s/again", fuzz_directory());
        fuzz_require(configuration_read(&again, other, false, "") == 0);
        fuzz_require(write_out(&again, text[1]) == length);
        fuzz_require(memcmp(text[0], text[1], length) == 0);
        configuration_free(&again);
    }
    configuration_free(&configuration);
}

static void check_authentication(const char *path)
{
    struct authentication found;
    authentication_read(&found, path);
    size_t length = strnlen(found.fingerprint, sizeof(found.fingerprint));
    fuzz_require(length == 0 || (length == strlen("SHA256:") + 43 &&
                                 strncmp(found.fingerprint, "SHA256:", 7) == 0));
    length = strnlen(found.marker, sizeof(found.marker));
    fuzz_require(length < sizeof(found.marker));
    fuzz_require(length == 0 || strncmp(found.marker, "authenticated by ", 17) == 0);
    for (size_t i = 0; i < length; i++)
        fuzz_require(isprint((unsigned char)found.marker[i]));
}

static void check_request(const char *command, const char *original)
{
    static const char mosh[] = "; exec '/usr/bin/mosh-server' new";
    struct request request;
    int status = -1;
    if (!request_take(&request, command, original, &status)) {
        fuzz_require(status == EXIT_REFUSED || status == EXIT_NOT_STARTED);
    } else {
        fuzz_require((request.kind == RECORDING_SHELL) == !request.run);
        fuzz_require(!request.recorded == !request.run);
    }
    request_free(&request);
    /* Whatever else is asked for, mosh's server is not started. */
    char *more = malloc(strlen(original ? original : "") + sizeof(mosh));
    fuzz_require(more);
    stpcpy(stpcpy(more, original ? original : ""), mosh);
    fuzz_require(!request_take(&request, NULL, more, &status) && status == EXIT_REFUSED);
    request_free(&request);
    free(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    static FILE *nowhere;
    char path[LONGEST_PATH];
    FILE *said = stderr;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    int folder = open(fuzz_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fuzz_require(nowhere && folder >= 0);
    char *user = fuzz_line(&input), *command = fuzz_line(&input), *original = fuzz_line(&input);
    fuzz_write(folder, "file", input.data, input.left);
    snprintf(path, sizeof(path), "%s/file", fuzz_directory());
    stderr = nowhere; /* for what is said to the person */
    check_configuration(folder, path, user);
    check_authentication(path);
    check_request(*command ? command : NULL, *original ? original : NULL);
    stderr = said;
    close(folder);
    free(user);
    free(command);
    free(original);
    return 0;
}
