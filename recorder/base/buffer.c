#include "recorder/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/error.h"

int buffer_reserve(struct buffer *buffer, size_t length)
{
    if (length > buffer->limit || buffer->length > buffer->limit - length)
        return ERR_LIMIT;
    size_t need = buffer->length + length + 1;
    if (need <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity < need)
        capacity = capacity > (size_t)-1 / 2 ? need : capacity * 2;
    if (capacity > buffer->limit + 1 && need <= buffer->limit + 1)
        capacity = buffer->limit + 1;
    char *data = realloc(buffer->data, capacity);
    if (!data)
        return ERR_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    data[buffer->length] = '\0';
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    int rc = buffer_reserve(buffer, length);
    if (rc)
        return rc;
    if (length)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
    return 0;
}

int buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int need = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (need < 0)
        return ERR_INVALID;
    int rc = buffer_reserve(buffer, (size_t)need);
    if (rc)
        return rc;
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->length, (size_t)need + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)need;
    return 0;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    if (buffer->data)
        buffer->data[0] = '\0';
}

char *buffer_take(struct buffer *buffer)
{
    char *data = buffer->data;
    *buffer = BUFFER_INIT(buffer->limit);
    return data;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = BUFFER_INIT(buffer->limit);
}

void buffer_cleanse(struct buffer *buffer)
{
    if (buffer->data)
        explicit_bzero(buffer->data, buffer->capacity);
    buffer_free(buffer);
}
