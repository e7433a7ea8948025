#include "recorder/base/json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Of numbers, and of whatever stands in a text without quotes. */
#define LONGEST_WORD 64

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

/* Behind a string, at whose opening quote `p` is. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        p += *p == '\\';
    return p < end ? p + 1 : end;
}

/* The first number, or whatever else stands there without quotes, that has more than LONGEST_WORD
 * characters; NULL when there is none. */
static const char *find_long_word(const char *p, const char *end)
{
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        size_t length = 0;
        while (p + length < end && !strchr(" \t\r\n\"[]{},:", p[length]))
            length++;
        if (length > LONGEST_WORD)
            return p;
        p += length ? length : 1;
    }
    return NULL;
}

static int refuse_word(const char *text, const char *word, struct error *error)
{
    const char *line = text;
    int number = 1;
    for (const char *p = text; p < word; p++)
        if (*p == '\n') {
            line = p + 1;
            number++;
        }
    return error_set(error, ERR_INVALID,
                     "line %d, column %d: a number of more than %d characters, or no JSON", number,
                     (int)(word - line) + 1, LONGEST_WORD);
}

/* Whether what jansson said can have been for want of memory. */
static bool no_memory(size_t length)
{
    void *volatile probe = malloc(length + 1); /* or the compiler leaves it out */
    free(probe);
    return !probe;
}

/* A text, and what stands around it. */
struct pieces {
    const char *text[3];
    size_t left[3];
    int at;
};

static size_t feed(void *buffer, size_t size, void *data)
{
    struct pieces *pieces = data;
    while (pieces->at < 3 && pieces->left[pieces->at] == 0)
        pieces->at++;
    if (pieces->at == 3)
        return 0;
    size_t take = pieces->left[pieces->at] < size ? pieces->left[pieces->at] : size;
    memcpy(buffer, pieces->text[pieces->at], take);
    pieces->text[pieces->at] += take;
    pieces->left[pieces->at] -= take;
    return take;
}

/* Where jansson's buffer for a word cannot grow while there is a number in it, an assertion of its
 * own ends the process (2.14, lex_unget_unsave()). So a string comes first, for which it grows, or
 * whose loss ends the reading: the two are an array. */
static json_t *read_after_a_string(const char *text, size_t length)
{
    static const char before[] =
        "[\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\n";
    _Static_assert(sizeof(before) > LONGEST_WORD + 2, "it makes room for any word");
    struct pieces pieces = {{before, text, "]"}, {sizeof(before) - 1, length, 1}, 0};
    json_t *both = json_load_callback(feed, &pieces, JSON_REJECT_DUPLICATES, NULL);
    json_t *second = json_array_size(both) == 2 ? json_incref(json_array_get(both, 1)) : NULL;
    json_decref(both);
    return second;
}

int json_read_object(const char *text, size_t length, json_t **object, struct error *error)
{
    json_error_t problem = {.text = ""};
    bool measured = true;
    if (!text)
        text = "";
    *object = NULL;
    const char *word = find_long_word(text, text + length);
    if (word)
        return refuse_word(text, word, error);
    /* Twice, because there may have been no memory for one word only. */
    for (int i = 0; i < 2 && !*object; i++) {
        *object = read_after_a_string(text, length);
        measured = !*object || strings_in_tree(*object) == strings_in_text(text, text + length);
        if (!measured) {
            json_decref(*object);
            *object = NULL;
        }
    }
    if (!*object && (!measured || no_memory(length)))
        return error_set(error, ERR_NO_MEMORY, "no memory");
    if (!*object) {
        /* As it is, for what to say of it. */
        json_t *alone = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
        bool valid = alone != NULL;
        json_decref(alone);
        return valid || !problem.text[0] ? error_set(error, ERR_NO_MEMORY, "no memory")
                                         : error_set(error, ERR_INVALID, "line %d, column %d: %s",
                                                     problem.line, problem.column, problem.text);
    }
    if (!json_is_object(*object)) {
        json_decref(*object);
        *object = NULL;
        return error_set(error, ERR_INVALID, "must be one JSON object");
    }
    return 0;
}
