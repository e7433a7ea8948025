#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooks/proxy/address.h"
#include "hooks/proxy/listener.h"
#include "hooks/proxy/log.h"

static int bind_one(const struct proxy_config *config, const struct address *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int fd = -1, one = 1;
    int rc = getaddrinfo(address->host, address->port, &hints, &found);
    if (rc != 0) {
        log_error("%s: listen: %s: %s", config->path, address->host, gai_strerror(rc));
        return -1;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        goto fail;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    /* So that "[::]" and "0.0.0.0" with one port can both be listened on. */
    if (found->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 128) < 0)
        goto fail;
    freeaddrinfo(found);
    return fd;
fail:
    log_error("%s: listen: cannot listen on %s port %s: %m", config->path, address->host,
              address->port);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return -1;
}

static void add(struct listening *listening, size_t *count, int fd, const char *address)
{
    char text[ADDRESS_TEXT_SIZE];
    listening[*count].fd = fd;
    snprintf(listening[*count].address, sizeof(listening->address), "%s", address);
    (*count)++;
    address_of_socket(text, fd, ADDRESS_LOCAL);
    printf("listening on %s\n", text);
    log_info("listening on %s", text);
}

/* What was handed over for this address, or -1. It is taken out. */
static int find(struct listening *left, size_t count, const char *address)
{
    for (size_t i = 0; i < count; i++)
        if (left[i].fd >= 0 && strcmp(left[i].address, address) == 0) {
            int fd = left[i].fd;
            left[i].fd = -1;
            return fd;
        }
    return -1;
}

int sockets_open(const struct proxy_config *config, const struct handover *handover,
                 struct listening *listening, size_t *count)
{
    struct listening left[HANDOVER_MAX_LISTENING];
    size_t left_count = handover->listening_count;
    bool again = handover->config_fd >= 0;
    int fd, failed = 0;
    memcpy(left, handover->listening, left_count * sizeof(*left));
    *count = 0;
    while ((fd = find(left, left_count, HANDOVER_ACTIVATED)) >= 0)
        add(listening, count, fd, HANDOVER_ACTIVATED);
    /* The service manager's sockets stand in for "listen". */
    size_t wanted = *count > 0 ? 0 : config->listen_count;
    for (size_t i = 0; i < wanted && *count < HANDOVER_MAX_LISTENING; i++) {
        char address[270];
        snprintf(address, sizeof(address), "[%s]:%s", config->listen[i].host,
                 config->listen[i].port);
        fd = find(left, left_count, address);
        if (fd < 0)
            fd = bind_one(config, &config->listen[i]);
        if (fd >= 0)
            add(listening, count, fd, address);
        else
            failed++;
    }
    for (size_t i = 0; i < left_count; i++)
        if (left[i].fd >= 0)
            close(left[i].fd);
    /* At a reload, one address that cannot be had is no reason to leave the others; nor is nobody
     * being there to read any more. */
    if (again)
        return *count > 0 ? 0 : -1;
    return failed || fflush(stdout) != 0 ? -1 : 0;
}
