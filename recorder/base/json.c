#include "recorder/base/json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The code unit of four hexadecimal digits that are known to be some. */
static unsigned unit(const char *digits)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)(digits[i] <= '9' ? digits[i] - '0' : (digits[i] & 7) + 9);
    return value;
}

/* How many bytes of UTF-8 an escape stands for; *p is behind its backslash, and then behind it. */
static size_t escape_length(const char **p)
{
    if (*(*p)++ != 'u')
        return 1;
    unsigned value = unit(*p);
    *p += 4;
    if (value >= 0xd800 && value < 0xdc00) {
        *p += 6; /* the other half */
        return 4;
    }
    return value < 0x80 ? 1 : value < 0x800 ? 2 : 3;
}

/* Bytes in all strings and keys of a text that is valid. */
static size_t strings_in_text(const char *p, const char *end)
{
    size_t bytes = 0;
    while (p < end && (p = memchr(p, '"', (size_t)(end - p)))) {
        p++;
        while (*p != '"') {
            if (*p++ == '\\')
                bytes += escape_length(&p);
            else
                bytes++;
        }
        p++;
    }
    return bytes;
}

/* As deep as jansson lets a text be: JSON_PARSER_MAX_DEPTH, 2048. */
static size_t strings_in_tree(json_t *json)
{
    size_t bytes = 0, index;
    const char *key;
    json_t *value;
    if (json_is_object(json))
        json_object_foreach(json, key, value) bytes += strlen(key) + strings_in_tree(value);
    else if (json_is_array(json))
        json_array_foreach(json, index, value) bytes += strings_in_tree(value);
    else if (json_is_string(json))
        bytes = json_string_length(json);
    return bytes;
}

/* Whether what jansson said can have been for want of memory. */
static bool no_memory(size_t length)
{
    void *volatile probe = malloc(length + 1); /* or the compiler leaves it out */
    free(probe);
    return !probe;
}

int json_read_object(const char *text, size_t length, json_t **object, struct error *error)
{
    json_error_t problem = {.text = ""};
    bool measured = true;
    if (!text)
        text = "";
    *object = NULL;
    /* Twice, because "unexpected token" can mean that there was no memory for the token. */
    for (int i = 0; i < 2 && !*object; i++) {
        *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
        measured = !*object || strings_in_tree(*object) == strings_in_text(text, text + length);
        if (!measured) {
            json_decref(*object);
            *object = NULL;
        }
    }
    if (!*object && (!measured || !problem.text[0] || no_memory(length)))
        return error_set(error, ERR_NO_MEMORY, "no memory");
    if (!*object)
        return error_set(error, ERR_INVALID, "line %d, column %d: %s", problem.line, problem.column,
                         problem.text);
    if (!json_is_object(*object)) {
        json_decref(*object);
        *object = NULL;
        return error_set(error, ERR_INVALID, "must be one JSON object");
    }
    return 0;
}
