#include "recorder/aws/sigv4_canonical.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorder/base/clock.h"

int sigv4_encode(struct buffer *out, const char *text, size_t length, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (keep_slash && c == '/');
        char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
        int rc = plain ? buffer_append(out, &text[i], 1) : buffer_append(out, escape, 3);
        if (rc)
            return rc;
    }
    return 0;
}

/* Region and service become parts of the scope, where '/' divides. */
static bool is_scope_word(const char *word)
{
    size_t length = strlen(word);
    if (length == 0 || length > 64)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)word[i]) && !strchr("-_.*", word[i]))
            return false;
    return true;
}

int sigv4_scope(const struct sigv4_request *request, char when[SIGV4_TIME_SIZE],
                char scope[SIGV4_SCOPE_SIZE], struct error *error)
{
    time_t seconds = (time_t)(request->time_ns / NS_PER_SECOND);
    struct tm tm;
    if (!is_scope_word(request->region) || !is_scope_word(request->service))
        return error_set(error, ERR_INVALID, "cannot sign for the region '%.80s', service '%.80s'",
                         request->region, request->service);
    if (!gmtime_r(&seconds, &tm) || strftime(when, SIGV4_TIME_SIZE, "%Y%m%dT%H%M%SZ", &tm) != 16)
        return error_set(error, ERR_INVALID, "cannot sign: the clock shows no usable time");
    snprintf(scope, SIGV4_SCOPE_SIZE, "%.8s/%s/%s/aws4_request", when, request->region,
             request->service);
    return 0;
}

/* RFC 3986, section 5.2.4, and empty segments dropped; a '/' at the end stays. */
static int normalize(struct buffer *out, const char *path)
{
    int rc = buffer_append(out, "/", 1);
    for (const char *p = path; rc == 0 && *p;) {
        size_t length = strcspn(p, "/");
        if (length == 2 && memcmp(p, "..", 2) == 0) {
            while (out->length > 1 && out->data[--out->length - 1] != '/')
                ;
        } else if (length && !(length == 1 && *p == '.')) {
            rc = buffer_append(out, p, length);
            if (rc == 0)
                rc = buffer_append(out, "/", 1);
        }
        p += length;
        p += *p == '/';
    }
    size_t given = strlen(path);
    if (rc == 0 && out->length > 1 && path[given - 1] != '/')
        out->length--;
    if (rc == 0)
        out->data[out->length] = '\0';
    return rc;
}

static int append_path(struct buffer *out, const char *path, const struct sigv4_style *style)
{
    struct buffer plain = BUFFER_INIT(SIGV4_MAX_TEXT), once = BUFFER_INIT(SIGV4_MAX_TEXT);
    int rc = style->normalize_path ? normalize(&plain, path) : buffer_append_text(&plain, path);
    if (rc == 0)
        rc = sigv4_encode(&once, plain.data, plain.length, true);
    if (rc == 0)
        rc = style->encode_path_twice ? sigv4_encode(out, once.data, once.length, true)
                                      : buffer_append(out, once.data, once.length);
    buffer_free(&plain);
    buffer_free(&once);
    return rc;
}

/* A pair in its canonical form; the strings are its own. */
struct entry {
    char *name, *value;
    size_t order; /* as given, since qsort(3) does not keep the order of equals */
};

struct entries {
    struct entry list[SIGV4_MAX_PAIRS];
    size_t count;
};

static void entries_free(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->list[i].name);
        if (entries->list[i].value)
            explicit_bzero(entries->list[i].value, strlen(entries->list[i].value));
        free(entries->list[i].value);
    }
    entries->count = 0;
}

/* Takes the two buffers' strings over. */
static void entries_add(struct entries *entries, struct buffer *name, struct buffer *value)
{
    struct entry *entry = &entries->list[entries->count];
    *entry = (struct entry){buffer_take(name), buffer_take(value), entries->count};
    entries->count++;
}

static int by_name_and_value(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->value, b->value);
}

static int by_name_as_given(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

static int canonical_query(const struct sigv4_pair *pairs, size_t count, struct buffer *out)
{
    struct entries entries = {.count = 0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct buffer name = BUFFER_INIT(SIGV4_MAX_TEXT), value = BUFFER_INIT(SIGV4_MAX_TEXT);
        rc = sigv4_encode(&name, pairs[i].name, strlen(pairs[i].name), false);
        if (rc == 0)
            rc = sigv4_encode(&value, pairs[i].value, strlen(pairs[i].value), false);
        /* An empty string has no memory of its own yet. */
        if (rc == 0)
            rc = buffer_reserve(&name, 0);
        if (rc == 0)
            rc = buffer_reserve(&value, 0);
        if (rc == 0)
            entries_add(&entries, &name, &value);
        buffer_free(&name);
        buffer_cleanse(&value);
    }
    qsort(entries.list, entries.count, sizeof(entries.list[0]), by_name_and_value);
    for (size_t i = 0; rc == 0 && i < entries.count; i++)
        rc = buffer_printf(out, "%s%s=%s", i ? "&" : "", entries.list[i].name,
                           entries.list[i].value);
    entries_free(&entries);
    return rc;
}

/* RFC 9110's token, in lower case. */
static int header_name(const char *name, struct buffer *out)
{
    if (!*name)
        return ERR_INVALID;
    for (const char *p = name; *p; p++) {
        char c = (char)tolower((unsigned char)*p);
        if (!isalnum((unsigned char)c) && !strchr("!#$%&'*+-.^_`|~", c))
            return ERR_INVALID;
        int rc = buffer_append(out, &c, 1);
        if (rc)
            return rc;
    }
    return 0;
}

/* Without white space around it, and each run of it inside one space. A line break counts as white
 * space, so that a value can never begin a header of its own; other control characters are refused.
 */
static int header_value(const char *value, struct buffer *out)
{
    bool gap = false;
    int rc = buffer_reserve(out, strlen(value));
    for (const char *p = value; rc == 0 && *p; p++) {
        if (strchr(" \t\r\n", *p)) {
            gap = out->length > 0;
            continue;
        }
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return ERR_INVALID;
        if (gap)
            rc = buffer_append(out, " ", 1);
        if (rc == 0)
            rc = buffer_append(out, p, 1);
        gap = false;
    }
    return rc;
}

static int canonical_headers(const struct sigv4_pair *pairs, size_t count,
                             struct sigv4_canonical *canonical, struct error *error)
{
    struct entries entries = {.count = 0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct buffer name = BUFFER_INIT(256), value = BUFFER_INIT(SIGV4_MAX_TEXT);
        rc = header_name(pairs[i].name, &name);
        if (rc == 0)
            rc = header_value(pairs[i].value, &value);
        if (rc == ERR_INVALID)
            error_set(error, rc, "the header '%.80s' cannot be sent", pairs[i].name);
        if (rc == 0)
            entries_add(&entries, &name, &value);
        buffer_free(&name);
        buffer_cleanse(&value);
    }
    qsort(entries.list, entries.count, sizeof(entries.list[0]), by_name_as_given);
    struct buffer *text = &canonical->text, *sent = &canonical->sent_headers;
    for (size_t i = 0; rc == 0 && i < entries.count;) {
        const char *name = entries.list[i].name;
        size_t begin = text->length;
        rc = buffer_printf(text, "%s:", name);
        for (size_t first = i; rc == 0 && i < entries.count; i++) {
            if (strcmp(name, entries.list[i].name) != 0)
                break;
            rc = buffer_printf(text, "%s%s", i == first ? "" : ",", entries.list[i].value);
        }
        if (rc == 0)
            rc = buffer_append(text, "\n", 1);
        if (rc == 0)
            rc = buffer_printf(&canonical->signed_headers, "%s%s",
                               canonical->signed_headers.length ? ";" : "", name);
        if (rc == 0 && strcmp(name, "host") != 0)
            rc = buffer_printf(sent, "%s: %s", name, text->data + begin + strlen(name) + 1);
    }
    entries_free(&entries);
    return rc;
}

int sigv4_canonical_build(const struct sigv4_request *request, const struct sigv4_style *style,
                          const struct sigv4_pair *query, size_t query_count,
                          const struct sigv4_pair *headers, size_t header_count,
                          struct sigv4_canonical *canonical, struct error *error)
{
    struct buffer *text = &canonical->text;
    if (query_count > SIGV4_MAX_PAIRS || header_count > SIGV4_MAX_PAIRS || request->path[0] != '/')
        return error_set(error, ERR_INVALID, "cannot sign: the path or the number of fields");
    /* Room at once, for what secrets there are not to be left behind by growing. */
    int rc = buffer_reserve(text, 32768);
    if (rc == 0)
        rc = buffer_reserve(&canonical->sent_headers, 16384);
    if (rc == 0)
        rc = canonical_query(query, query_count, &canonical->query);
    if (rc == 0)
        rc = buffer_printf(text, "%s\n", request->method);
    if (rc == 0)
        rc = append_path(text, request->path, style);
    if (rc == 0)
        rc = buffer_printf(text, "\n%s\n", canonical->query.data ? canonical->query.data : "");
    if (rc == 0) {
        rc = canonical_headers(headers, header_count, canonical, error);
        if (rc == ERR_INVALID)
            return rc;
    }
    if (rc == 0)
        rc = buffer_printf(text, "\n%s\n%s", canonical->signed_headers.data,
                           request->payload_sha256);
    return rc ? error_set(error, rc, "cannot sign: the request is too large") : 0;
}

void sigv4_canonical_free(struct sigv4_canonical *canonical)
{
    buffer_cleanse(&canonical->text);
    buffer_cleanse(&canonical->query);
    buffer_cleanse(&canonical->signed_headers);
    buffer_cleanse(&canonical->sent_headers);
}
