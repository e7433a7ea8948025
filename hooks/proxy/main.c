#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hooks/proxy/child.h"
#include "hooks/proxy/config.h"
#include "hooks/proxy/connection.h"
#include "hooks/proxy/listener.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/options.h"
#include "hooks/proxy/service.h"

/* Copies the file into memory that the children share, so that all of them go by the bytes that
 * were checked, whatever becomes of the file. Returns a descriptor or -1. */
static int snapshot(const char *path)
{
    char bytes[8192];
    ssize_t count;
    size_t total = 0;
    int memory = -1, file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        log_error("%s: cannot be read: %m", path);
        return -1;
    }
    memory = memfd_create("castbucket-proxy configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0)
        goto fail;
    while ((count = read(file, bytes, sizeof(bytes))) > 0) {
        total += (size_t)count;
        if (total > CONFIG_MAX_FILE) {
            errno = EFBIG;
            goto fail;
        }
        if (write(memory, bytes, (size_t)count) != count)
            goto fail;
    }
    if (count < 0 || fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
        goto fail;
    close(file);
    return memory;
fail:
    log_error("%s: cannot be read: %m", path);
    close(file);
    if (memory >= 0)
        close(memory);
    return -1;
}

/* Reads the snapshot from its start: a descriptor's position is shared with other processes. */
static int read_snapshot(const char *path, int memory, struct proxy_config *config)
{
    char name[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", memory);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        log_error("%s: cannot be read: %m", path);
        return -1;
    }
    return config_read(path, fd, config);
}

/* Has a child with a connection's privileges try everything that can be tried without a person. */
static int check_in_child(const char *path, int memory)
{
    int status;
    pid_t pid = child_start(CHILD_CHECK, path, memory, -1, -1);
    if (pid < 0) {
        log_error("cannot start a process: %m");
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    if (WIFSIGNALED(status))
        log_error("%s: checking it was killed by signal %d (%s); the plugin may be at fault", path,
                  WTERMSIG(status), strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int serve(const struct options *options)
{
    int result = EXIT_USAGE;
    struct proxy_config config = {0};
    int memory = snapshot(options->config);
    if (memory < 0)
        return EXIT_USAGE;
    if (read_snapshot(options->config, memory, &config) == 0 && privileges_check(&config) == 0 &&
        check_in_child(options->config, memory) == 0) {
        if (options->mode == MODE_TEST) {
            printf("%s: good\n", options->config);
            result = fflush(stdout) == 0 ? 0 : EXIT_RUNTIME;
        } else {
            result = listener_run(&config, memory);
        }
    }
    config_free(&config);
    close(memory);
    return result;
}

int main(int argc, char **argv)
{
    struct options options;
    struct proxy_config config;
    int result = options_parse(&options, argc, argv);
    if (result >= 0)
        return result;
    if (options.mode == MODE_SERVE || options.mode == MODE_TEST)
        return serve(&options);
    signal(SIGPIPE, SIG_IGN);
    if (read_snapshot(options.config, CHILD_CONFIG_FD, &config) < 0)
        return EXIT_USAGE;
    if (options.mode == MODE_CHECK)
        result = service_check(&config);
    else if (options.mode == MODE_RECORDER)
        result = service_run(&config);
    else
        result = connection_run(&config, CHILD_SOCKET_FD, CHILD_STATUS_FD);
    config_free(&config);
    return result;
}
