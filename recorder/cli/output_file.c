#include "recorder/cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"

/* Read by the handler, hence static. "": nothing to remove. */
static char temporary[PATH_MAX];
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void remove_and_die(int number)
{
    if (temporary[0])
        unlink(temporary);
    signal(number, SIG_DFL);
    raise(number);
}

static void handle_signals(void (*handler)(int))
{
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction action = {.sa_handler = handler}, former;
        sigaction(signals[i], NULL, &former);
        if (former.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

static int open_in_place(struct output_file *output, struct error *error)
{
    output->in_place = true;
    output->file = fopen(output->path, "we");
    return output->file ? 0 : error_system(error, "cannot open %s", output->path);
}

static int open_temporary(struct output_file *output, struct error *error)
{
    const char *slash = strrchr(output->path, '/');
    int folder = slash ? (int)(slash - output->path) + 1 : 0;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%.*s.%.200s.XXXXXX", folder, output->path,
                          output->path + folder);
    if (length < 0 || length >= (int)sizeof(path))
        return error_set(error, ERR_INVALID, "%s: the path is too long", output->path);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return error_system(error, "cannot create a file beside %s", output->path);
    memcpy(temporary, path, sizeof(path));
    handle_signals(remove_and_die);
    output->file = fdopen(fd, "w");
    if (!output->file) {
        int rc = error_system(error, "cannot write %s", output->path);
        close(fd);
        return rc;
    }
    return 0;
}

int output_file_open(const char *path, bool replace, struct output_file *output,
                     struct error *error)
{
    struct stat info;
    *output = (struct output_file){.path = path, .replace = replace};
    if (strcmp(path, "-") == 0) {
        output->in_place = true;
        output->file = stdout;
        return 0;
    }
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return error_set(error, ERR_INVALID, "%s is a directory", path);
        if (!S_ISREG(info.st_mode))
            return open_in_place(output, error);
        if (!replace)
            return error_set(error, ERR_EXISTS, "%s is there already; --force replaces it", path);
    }
    return open_temporary(output, error);
}

int output_file_write(struct output_file *output, const void *data, size_t length,
                      struct error *error)
{
    if (fwrite(data, 1, length, output->file) != length)
        return error_system(error, "cannot write %s", output->path);
    return 0;
}

/* Another process may have made the file since it was looked for. */
static int put_in_place(const struct output_file *output)
{
    if (output->replace)
        return rename(temporary, output->path);
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, output->path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    /* A file system that cannot: a hard link does not replace either. */
    if (link(temporary, output->path))
        return -1;
    unlink(temporary);
    return 0;
}

int output_file_commit(struct output_file *output, struct error *error)
{
    if (fflush(output->file))
        return error_system(error, "cannot write %s", output->path);
    if (output->in_place)
        return 0;
    if (fsync(fileno(output->file)))
        return error_system(error, "cannot sync %s", output->path);
    if (put_in_place(output))
        return error_system(error, "cannot put %s in its place", output->path);
    temporary[0] = '\0';
    return 0;
}

void output_file_close(struct output_file *output)
{
    if (output->file && output->file != stdout)
        fclose(output->file);
    if (temporary[0]) {
        unlink(temporary);
        temporary[0] = '\0';
        handle_signals(SIG_DFL);
    }
    output->file = NULL;
}
