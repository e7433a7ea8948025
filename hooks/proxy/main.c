#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hooks/proxy/child.h"
#include "hooks/proxy/config.h"
#include "hooks/proxy/connection.h"
#include "hooks/proxy/handover.h"
#include "hooks/proxy/listener.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/options.h"
#include "hooks/proxy/service.h"

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
    if (config_read(path, fd, config) < 0)
        return -1;
    log_set_format(config->log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
    return 0;
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
    struct handover handover;
    if (handover_take(&handover) < 0)
        return EXIT_RUNTIME;
    /* A program before us had it checked, by us. */
    bool checked = handover.config_fd >= 0;
    int memory = checked ? handover.config_fd : config_snapshot(options->config);
    if (memory < 0)
        return EXIT_USAGE;
    if (read_snapshot(options->config, memory, &config) == 0 && privileges_check(&config) == 0 &&
        (checked || check_in_child(options->config, memory) == 0)) {
        if (options->mode == MODE_TEST) {
            printf("%s: good\n", options->config);
            result = fflush(stdout) == 0 ? 0 : EXIT_RUNTIME;
        } else {
            result = listener_run(&config, memory, &handover);
        }
    }
    config_free(&config);
    handover_free(&handover);
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
