#include "tests/unit/scripted_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SCRIPT 256
#define MAX_CONNECTIONS 64
#define MAX_HEAD 65536

struct connection {
    struct scripted_server *server;
    int fd, number;
    pthread_t thread;
};

struct scripted_server {
    int fd;
    int stop[2]; /* a pipe: readable once the server is to stop */
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    struct scripted_answer script[MAX_SCRIPT];
    size_t script_length, served;
    struct scripted_request requests[MAX_SCRIPT];
    size_t request_count;
    struct connection connections[MAX_CONNECTIONS];
    int connection_count;
};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    abort();
}

/* False once the server is to stop, or after the time. */
static bool wait_for(struct scripted_server *server, int fd, int timeout_ms)
{
    struct pollfd wanted[] = {{.fd = server->stop[0], .events = POLLIN},
                              {.fd = fd, .events = POLLIN}};
    return poll(wanted, 2, timeout_ms) > 0 && !wanted[0].revents;
}

static size_t read_some(struct connection *connection, char *to, size_t size)
{
    if (!wait_for(connection->server, connection->fd, -1))
        return 0;
    ssize_t got = recv(connection->fd, to, size, 0);
    return got > 0 ? (size_t)got : 0;
}

static bool write_all(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        length -= (size_t)sent;
    }
    return true;
}

static const char *header(const char *head, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
            return line + 3 + length;
    return NULL;
}

static struct scripted_answer next_answer(struct scripted_server *server)
{
    struct scripted_answer over = {.status = 500,
                                   .body = "<Error><Code>ScriptIsOver</Code></Error>"};
    pthread_mutex_lock(&server->lock);
    struct scripted_answer answer = server->served < server->script_length
                                        ? server->script[server->served]
                                        : over;
    server->served++;
    pthread_mutex_unlock(&server->lock);
    return answer;
}

static void remember(struct connection *connection, char *head, char *body, size_t length)
{
    struct scripted_server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    require(server->request_count < MAX_SCRIPT, "too many requests for the scripted server");
    server->requests[server->request_count++] = (struct scripted_request){head, body, length,
                                                                          connection->number};
    pthread_mutex_unlock(&server->lock);
}

/* False: the connection is over. */
static bool answer_request(struct connection *connection, const struct scripted_answer *answer,
                           bool without_body)
{
    char head[8192];
    size_t length = answer->body ? strlen(answer->body) : 0;
    size_t promised = length + (answer->fault == FAULT_CUT ? 100 : 0);
    int fd = connection->fd;
    if (answer->delay_ms)
        wait_for(connection->server, connection->server->stop[0], answer->delay_ms);
    if (answer->fault == FAULT_SILENT) {
        wait_for(connection->server, connection->server->stop[0], -1);
        return false;
    }
    if (answer->fault == FAULT_RESET) {
        struct linger linger = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        return false;
    }
    if (answer->fault == FAULT_CLOSE)
        return false;
    int used = snprintf(head, sizeof(head), "HTTP/1.1 %d Scripted\r\n%s", answer->status,
                        answer->headers ? answer->headers : "");
    if (answer->fault == FAULT_ENDLESS)
        used += snprintf(head + used, sizeof(head) - (size_t)used, "Connection: close\r\n\r\n");
    else if (answer->headers && strstr(answer->headers, "Content-Length:"))
        used += snprintf(head + used, sizeof(head) - (size_t)used, "\r\n");
    else
        used += snprintf(head + used, sizeof(head) - (size_t)used, "Content-Length: %zu\r\n\r\n",
                         promised);
    if (!write_all(fd, head, (size_t)used))
        return false;
    if (!without_body && length && !write_all(fd, answer->body, length))
        return false;
    while (answer->fault == FAULT_ENDLESS) {
        static const char filler[65536];
        if (!write_all(fd, filler, sizeof(filler)))
            return false;
    }
    return answer->fault == FAULT_NONE && !answer->early;
}

static bool serve_one(struct connection *connection)
{
    char *head = calloc(1, MAX_HEAD), *body = NULL, *end = NULL;
    size_t used = 0, have, length = 0;
    require(head != NULL, "calloc");
    while (!end && used < MAX_HEAD - 1) {
        size_t got = read_some(connection, head + used, MAX_HEAD - 1 - used);
        if (!got) {
            free(head);
            return false;
        }
        used += got;
        end = strstr(head, "\r\n\r\n");
    }
    require(end != NULL, "a request without an end");
    have = used - (size_t)(end + 4 - head);
    const char *value = header(head, "Content-Length");
    length = value ? strtoul(value, NULL, 10) : 0;
    body = calloc(1, length + 1);
    require(body != NULL, "calloc");
    memcpy(body, end + 4, have < length ? have : length);
    bool ask_first = header(head, "Expect") != NULL;
    end[2] = '\0';

    struct scripted_answer answer = next_answer(connection->server);
    if (ask_first && !answer.early)
        write_all(connection->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    while (!answer.early && have < length) {
        size_t got = read_some(connection, body + have, length - have);
        if (!got)
            break;
        have += got;
    }
    remember(connection, head, body, have);
    return answer_request(connection, &answer, strncmp(head, "HEAD ", 5) == 0);
}

static void *serve(void *context)
{
    struct connection *connection = context;
    while (serve_one(connection))
        ;
    close(connection->fd);
    return NULL;
}

static void *accept_all(void *context)
{
    struct scripted_server *server = context;
    while (wait_for(server, server->fd, -1)) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0)
            continue;
        require(server->connection_count < MAX_CONNECTIONS, "too many connections");
        int number = server->connection_count;
        struct connection *connection = &server->connections[number];
        *connection = (struct connection){.server = server, .fd = fd, .number = number};
        require(pthread_create(&connection->thread, NULL, serve, connection) == 0, "thread");
        server->connection_count++;
    }
    return NULL;
}

struct scripted_server *scripted_server_new(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct scripted_server *server = calloc(1, sizeof(*server));
    require(server != NULL, "calloc");
    pthread_mutex_init(&server->lock, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(server->fd >= 0 && pipe(server->stop) == 0, "socket");
    require(bind(server->fd, (const struct sockaddr *)&address, length) == 0, "bind");
    require(listen(server->fd, 64) == 0, "listen");
    require(getsockname(server->fd, (struct sockaddr *)&address, &length) == 0, "getsockname");
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d", ntohs(address.sin_port));
    require(pthread_create(&server->thread, NULL, accept_all, server) == 0, "thread");
    return server;
}

void scripted_server_free(struct scripted_server *server)
{
    if (!server)
        return;
    close(server->stop[1]);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < server->connection_count; i++)
        pthread_join(server->connections[i].thread, NULL);
    for (size_t i = 0; i < server->request_count; i++) {
        free(server->requests[i].head);
        free(server->requests[i].body);
    }
    close(server->stop[0]);
    close(server->fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *scripted_server_url(const struct scripted_server *server)
{
    return server->url;
}

void scripted_server_add(struct scripted_server *server, struct scripted_answer answer)
{
    pthread_mutex_lock(&server->lock);
    require(server->script_length < MAX_SCRIPT, "the script is too long");
    server->script[server->script_length++] = answer;
    pthread_mutex_unlock(&server->lock);
}

size_t scripted_server_count(struct scripted_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->request_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

const struct scripted_request *scripted_server_request(struct scripted_server *server,
                                                       size_t number)
{
    return number < scripted_server_count(server) ? &server->requests[number] : NULL;
}
