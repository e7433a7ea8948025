/* Errors: a code to act on and a sentence to read.
 *
 * Functions that can fail return 0 or one of the negative codes below and, when the caller passed a
 * struct error, leave there the same code and a sentence for a person: what was being done, to
 * which file, key or permission, and why it failed. The struct lives on the caller's stack; nothing
 * in it is allocated, so it needs no freeing and reporting a failure cannot itself fail. A NULL
 * struct error is allowed everywhere.
 *
 * Each layer may put its own context in front with error_prefix(); the innermost cause stays last.
 */
#ifndef CASTBUCKET_BASE_ERROR_H
#define CASTBUCKET_BASE_ERROR_H

#include <stdarg.h>

enum error_code {
    ERR_INVALID = -1,   /* input that breaks its own rules: settings, arguments, a format */
    ERR_SYSTEM = -2,    /* a system call failed; the sentence ends with its reason */
    ERR_NO_MEMORY = -3, /* an allocation failed */
    ERR_LIMIT = -4,     /* a cap on size or number was reached */
    ERR_NO_SPACE = -5,  /* the disk or the spool's quota is full */
    ERR_NOT_FOUND = -6, /* no such file, object, bucket, organization or socket */
    ERR_EXISTS = -7,    /* it is there already, and is not overwritten */
    ERR_DENIED = -8,    /* a permission is missing: role, policy, external ID, file mode */
    ERR_CONFLICT = -9,  /* something else is stored under the same key */
    ERR_RETRY = -10,    /* may work later: network, throttling, 5xx */
    ERR_DAMAGED = -11,  /* stored bytes contradict their checksum or format */
    ERR_CANCELLED = -12 /* stopped because the process is stopping */
};

struct error {
    int code;        /* 0, or one of enum error_code */
    char text[1024]; /* NUL-terminated; cut if longer; control characters escaped */
};

#define ERROR_INIT ((struct error){0})

/* Sets code and sentence; returns code, so that `return error_set(...)` reads well. */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Like error_set(), from errno: chooses the code that fits it and appends ": " and its text, which
 * stays whole where the sentence before it must be cut. Leaves errno as it was. */
int error_system(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts context and ": " in front of an error that is set. Returns nothing, for where the caller
 * passed NULL there is no code here to return: return the one that the failed function gave. The
 * context is cut at half of the text's room, so that the cause is still read. */
void error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The code's name as logs and status files show it, such as "denied". */
const char *error_name(int code);

#endif
