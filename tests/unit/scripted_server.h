/* An HTTP server on loopback that says what a test tells it to: for everything that a real store
 * will not do on demand (refuse, cut off, stall, never end). It enforces nothing. */
#ifndef CASTBUCKET_TESTS_SCRIPTED_SERVER_H
#define CASTBUCKET_TESTS_SCRIPTED_SERVER_H

#include <stdbool.h>
#include <stddef.h>

enum scripted_fault {
    FAULT_NONE,
    FAULT_CUT,     /* promises 100 bytes more than it sends, and closes */
    FAULT_RESET,   /* reads the request, then resets the connection */
    FAULT_CLOSE,   /* reads the request, then closes without a word */
    FAULT_ENDLESS, /* the body never ends */
    FAULT_SILENT,  /* reads the request and never answers */
    FAULT_HANG_UP  /* answers as if the connection stayed open, then closes it */
};

struct scripted_answer {
    int status;
    const char *headers; /* "Name: value\r\n" lines, or NULL */
    const char *body;    /* or NULL; Content-Length is added */
    enum scripted_fault fault;
    bool early;   /* before the request's body is read */
    int delay_ms; /* waits so long before it answers */
};

struct scripted_request {
    char *head; /* request line and headers, with CRLF */
    char *body;
    size_t length;
    int connection; /* counted from 0 */
};

struct scripted_server;

/* Aborts the test program when it cannot start. */
struct scripted_server *scripted_server_new(void);

/* Closes everything and waits for its threads. */
void scripted_server_free(struct scripted_server *server);

/* "http://127.0.0.1:PORT" */
const char *scripted_server_url(const struct scripted_server *server);

/* Appends to the script, whose answers are given in order, one a request. Strings are borrowed.
 * After the last one every request is answered 500 "ScriptIsOver". */
void scripted_server_add(struct scripted_server *server, struct scripted_answer answer);

/* How many requests came, and one of them (NULL: did not come). Valid until the server is freed. */
size_t scripted_server_count(struct scripted_server *server);
const struct scripted_request *scripted_server_request(struct scripted_server *server,
                                                       size_t number);

#endif
