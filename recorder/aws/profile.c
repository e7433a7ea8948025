#include "recorder/aws/profile.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#include "recorder/base/buffer.h"
#include "recorder/base/file.h"

#define MAX_FILE ((size_t)1 << 20)

/* Cuts white space off both ends, in place. */
static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

/* Whether "[name]" or "[profile name]" is the wanted one; quotes around the name are allowed. */
static bool is_section(char *line, const char *profile, bool is_config)
{
    char *close = strchr(line, ']');
    if (!close)
        return false;
    *close = '\0';
    char *name = trim(line + 1);
    if (is_config && strncmp(name, "profile", 7) == 0 && isspace((unsigned char)name[7]))
        name = trim(name + 7);
    else if (is_config && strcmp(name, "default") != 0)
        return false;
    size_t length = strlen(name);
    if (length >= 2 && (*name == '"' || *name == '\'') && name[length - 1] == *name) {
        name[length - 1] = '\0';
        name++;
    }
    return strcmp(name, profile) == 0;
}

/* A comment may follow a value after white space. */
static void cut_comment(char *value)
{
    for (char *p = value; *p; p++)
        if ((*p == '#' || *p == ';') && (p == value || isspace((unsigned char)p[-1])))
            *p = '\0';
}

static int read_setting(char *line, profile_each *each, void *context)
{
    char *equals = strchr(line, '=');
    if (!equals)
        return 0;
    *equals = '\0';
    char *key = trim(line);
    for (char *p = key; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    cut_comment(equals + 1);
    return each(context, key, trim(equals + 1));
}

static int read_lines(char *text, const char *profile, bool is_config, profile_each *each,
                      void *context, bool *found)
{
    bool inside = false;
    size_t depth = 0; /* the indentation of the setting before: deeper lines belong to it */
    for (char *next, *line = text; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        size_t indent = strspn(line, " \t");
        char *content = trim(line);
        if (*content == '\0' || *content == '#' || *content == ';')
            continue;
        if (*content == '[' && indent == 0) {
            inside = is_section(content, profile, is_config);
            *found = *found || inside;
            depth = (size_t)-1;
            continue;
        }
        if (indent > depth)
            continue;
        depth = indent;
        if (inside) {
            int rc = read_setting(content, each, context);
            if (rc)
                return rc;
        }
    }
    return 0;
}

int profile_read(const char *file, const char *profile, bool is_config, profile_each *each,
                 void *context, bool *found, struct error *error)
{
    struct buffer buffer = BUFFER_INIT(MAX_FILE);
    *found = false;
    /* Room at once: growing would leave copies of secrets behind. */
    int rc = buffer_reserve(&buffer, MAX_FILE);
    if (rc)
        return error_set(error, rc, "no memory to read %s", file);
    rc = file_read(AT_FDCWD, file, &buffer, error);
    if (rc)
        goto out;
    char *text = buffer.data;
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    rc = read_lines(text, profile, is_config, each, context, found);
out:
    buffer_cleanse(&buffer);
    return rc;
}
