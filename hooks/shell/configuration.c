#include "hooks/shell/configuration.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS 5

/* Where a line may stand: outside, in a block that counts, in one that does not. */
enum place { OUTSIDE, FITS, OTHER };

struct parse {
    struct configuration *to;
    const char *path;
    unsigned line;
    enum place place;
    bool found_block;            /* one that fits has been seen */
    const char *values[2][KEYS]; /* outside of blocks, in the one that fits */
    bool seen[3][KEYS];
};

static const char *const keys[KEYS] = {"plugin", "settings", "socket", "shell", "left_running"};

static int wrong(const struct parse *parse, const char *what, const char *word)
{
    fprintf(stderr, "castbucket-shell: %s:%u: %s%s%s\n", parse->path, parse->line, what,
            word ? ": " : "", word ? word : "");
    return -1;
}

static char *skip_blank(char *p)
{
    return p + strspn(p, " \t\r");
}

static bool ends(const char *p)
{
    return *p == '\0' || *p == '#';
}

/* "value" at *p, which moves behind it. A value has neither quotes nor escapes. */
static char *take_quoted(char **p)
{
    char *begin = skip_blank(*p), *end;
    if (*begin++ != '"')
        return NULL;
    end = strchr(begin, '"');
    if (!end || end == begin)
        return NULL;
    *end = '\0';
    *p = skip_blank(end + 1);
    return begin;
}

/* Whether this process is in the group, as sshd and PAM have set it up. */
static bool in_group(const char *name)
{
    static gid_t groups[CONFIGURATION_MAX_GROUPS];
    const struct group *group = getgrnam(name);
    int count = getgroups(CONFIGURATION_MAX_GROUPS, groups);
    if (!group)
        return false;
    for (int i = 0; i < count; i++)
        if (groups[i] == group->gr_gid)
            return true;
    return getgid() == group->gr_gid;
}

static int take_value(struct parse *parse, const char *key, char *rest)
{
    size_t which = 0;
    while (which < KEYS && strcmp(keys[which], key) != 0)
        which++;
    if (which == KEYS)
        return wrong(parse, "there is no such setting", key);
    const char *value = take_quoted(&rest);
    if (!value || !ends(rest))
        return wrong(parse, "write it as NAME = \"VALUE\"", key);
    if (parse->seen[parse->place][which])
        return wrong(parse, "it is set twice", key);
    if (strcmp(key, "left_running") == 0) {
        if (strcmp(value, "mark") != 0 && strcmp(value, "end") != 0)
            return wrong(parse, "left_running is \"mark\" or \"end\", not", value);
    } else if (strcmp(key, "socket") != 0 && value[0] != '/') {
        return wrong(parse, "a path must be absolute", value);
    }
    parse->seen[parse->place][which] = true;
    if (parse->place != OTHER)
        parse->values[parse->place][which] = value;
    return 0;
}

static int take_line(struct parse *parse, char *line, const char *user)
{
    char *word = skip_blank(line);
    if (ends(word))
        return 0;
    if (*word == '}') {
        if (parse->place == OUTSIDE || !ends(skip_blank(word + 1)))
            return wrong(parse, "a } of its own, which closes a block, was expected", NULL);
        parse->place = OUTSIDE;
        return 0;
    }
    size_t length = strspn(word, "abcdefghijklmnopqrstuvwxyz_");
    char *rest = skip_blank(word + length);
    bool setting = *rest == '=';
    if (length && setting) {
        word[length] = '\0';
        return take_value(parse, word, rest + 1);
    }
    bool for_user = length == 4 && strncmp(word, "user", 4) == 0;
    if (!for_user && !(length == 5 && strncmp(word, "group", 5) == 0))
        return wrong(parse, "NAME = \"VALUE\", user \"NAME\" { or group \"NAME\" { was expected",
                     NULL);
    const char *name = take_quoted(&rest);
    if (!name || *rest != '{' || !ends(skip_blank(rest + 1)))
        return wrong(parse, "a block begins as user \"NAME\" { or group \"NAME\" {", NULL);
    if (parse->place != OUTSIDE)
        return wrong(parse, "there are no blocks in blocks; a } is missing", NULL);
    bool fits = for_user ? strcmp(name, user) == 0 : in_group(name);
    parse->place = fits && !parse->found_block ? FITS : OTHER;
    parse->found_block = parse->found_block || fits;
    memset(parse->seen[OTHER], 0, sizeof(parse->seen[OTHER]));
    return 0;
}

static int take_text(struct parse *parse, char *text, const char *user)
{
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        parse->line++;
        if (take_line(parse, line, user))
            return -1;
    }
    if (parse->place != OUTSIDE)
        return wrong(parse, "a block is not closed", NULL);
    const char *value[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        value[i] = parse->values[FITS][i] ? parse->values[FITS][i] : parse->values[OUTSIDE][i];
    parse->to->plugin = value[0];
    parse->to->settings = value[1];
    parse->to->socket = value[2];
    parse->to->shell = value[3];
    parse->to->end_left_running = value[4] && strcmp(value[4], "end") == 0;
    return 0;
}

static int read_file(const char *path, bool trusted, char **text)
{
    struct stat info;
    ssize_t got = -1;
    *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT && !trusted)
        return 0;
    if (fd < 0 || fstat(fd, &info)) {
        fprintf(stderr, "castbucket-shell: %s: %s\n", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(info.st_mode) || (size_t)info.st_size > CONFIGURATION_MAX_FILE) {
        fprintf(stderr, "castbucket-shell: %s: it is no file of at most %zu bytes\n", path,
                CONFIGURATION_MAX_FILE);
        goto out;
    }
    if (trusted && (info.st_uid != 0 || (info.st_mode & (S_IWGRP | S_IWOTH)))) {
        fprintf(stderr,
                "castbucket-shell: %s: it must belong to root and be writable by nobody else\n",
                path);
        goto out;
    }
    *text = malloc(CONFIGURATION_MAX_FILE + 1);
    got = *text ? read(fd, *text, CONFIGURATION_MAX_FILE) : -1;
    if (got < 0)
        fprintf(stderr, "castbucket-shell: %s: %s\n", path, strerror(errno));
    else
        (*text)[got] = '\0';
    if (got >= 0 && strlen(*text) != (size_t)got) {
        fprintf(stderr, "castbucket-shell: %s: it has a NUL byte\n", path);
        got = -1;
    }
out:
    if (fd >= 0)
        close(fd);
    return got < 0 ? -1 : 0;
}

int configuration_read(struct configuration *configuration, const char *path, bool trusted,
                       const char *user)
{
    struct parse parse = {.to = configuration, .path = path};
    *configuration = (struct configuration){0};
    int rc = read_file(path, trusted, &configuration->text);
    if (!rc && configuration->text)
        rc = take_text(&parse, configuration->text, user);
    if (rc)
        configuration_free(configuration);
    return rc;
}

void configuration_free(struct configuration *configuration)
{
    free(configuration->text);
    *configuration = (struct configuration){0};
}
