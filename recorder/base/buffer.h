/* A growing run of bytes with a hard limit.
 *
 * Every buffer names its limit when it is made, so that no input can make it grow without end.
 * After a failed call the contents are as before. `data` is NULL or NUL-terminated (the NUL is not
 * counted in `length`). Not shared between threads. */
#ifndef CASTBUCKET_BASE_BUFFER_H
#define CASTBUCKET_BASE_BUFFER_H

#include <stddef.h>

struct buffer {
    char *data;
    size_t length;   /* bytes in use */
    size_t capacity; /* bytes allocated, the NUL's included */
    size_t limit;    /* most bytes `length` may reach */
};

#define BUFFER_INIT(most) ((struct buffer){.limit = (most)})

/* ERR_LIMIT or ERR_NO_MEMORY when it does not fit. */
__attribute__((warn_unused_result)) int buffer_append(struct buffer *buffer, const void *data,
                                                      size_t length);
__attribute__((warn_unused_result)) int buffer_append_text(struct buffer *buffer, const char *text);
__attribute__((warn_unused_result, format(printf, 2, 3))) int
buffer_printf(struct buffer *buffer, const char *format, ...);

/* Makes room for `length` more bytes; the caller may write them at data + length and then raise
 * `length` itself. */
__attribute__((warn_unused_result)) int buffer_reserve(struct buffer *buffer, size_t length);

/* Empties it and keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* Hands the bytes to the caller, who frees them with free(); NULL when there are none. */
char *buffer_take(struct buffer *buffer);

/* Frees the bytes; the buffer is empty and may be used again. */
void buffer_free(struct buffer *buffer);

/* The same for bytes that were secret: overwritten before they are freed. */
void buffer_cleanse(struct buffer *buffer);

#endif
