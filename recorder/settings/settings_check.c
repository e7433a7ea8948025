#include "recorder/settings/settings_check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recorder/base/text.h"
#include "recorder/settings/settings.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define MAX_PREFIX 128
#define MAX_HOST 253       /* RFC 1035 */
#define MAX_QUOTA_DIGITS 6 /* of a number with a unit up to T: it stays below 2^64 */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Copies a value whose length and characters are right; `allowed` as a person would write it. */
static int copy_checked(const char *value, size_t least, size_t most, const char *characters,
                        const char *allowed, char *clean, struct error *error)
{
    size_t length = strlen(value);
    if (length < least || length > most)
        return error_set(error, ERR_INVALID, "must have %zu to %zu characters, and has %zu", least,
                         most, length);
    size_t good = strspn(value, characters);
    if (good != length)
        return error_set(error, ERR_INVALID, "'%.64s' has a character that is not one of %s",
                         value + good, allowed);
    memcpy(clean, value, length + 1);
    return 0;
}

/* U+0080 to U+009F: in UTF-8, terminals act on these as on the ones below 0x20. */
static bool has_c1_control(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (p[0] == 0xc2 && p[1] < 0xa0)
            return true;
    return false;
}

int settings_check_name(const char *value, char clean[SETTINGS_VALUE_SIZE], struct error *error)
{
    size_t length = strlen(value);
    if (length == 0)
        return error_set(error, ERR_INVALID, "the name is empty");
    if (length > SETTINGS_MAX_NAME)
        return error_set(error, ERR_INVALID, "the name has %zu bytes; at most %d are allowed",
                         length, SETTINGS_MAX_NAME);
    if (!text_is_utf8(value, length))
        return error_set(error, ERR_INVALID, "the name is not UTF-8");
    if (text_has_control(value) || has_c1_control(value))
        return error_set(error, ERR_INVALID, "the name has a control character");
    memcpy(clean, value, length + 1);
    return 0;
}

int settings_check_bucket(const char *value, char clean[SETTINGS_VALUE_SIZE], struct error *error)
{
    static const char *const reserved_starts[] = {"xn--", "sthree-", "amzn-s3-demo-"};
    static const char *const reserved_ends[] = {"-s3alias", "--ol-s3", ".mrap", "--x-s3",
                                                "--table-s3"};
    int rc = copy_checked(value, 3, 63, LOWER DIGITS ".-",
                          "the lower-case letters, digits, '.' and '-' that S3 allows", clean,
                          error);
    if (rc)
        return rc;
    if (!strchr(LOWER DIGITS, value[0]) || !strchr(LOWER DIGITS, value[strlen(value) - 1]))
        return error_set(error, ERR_INVALID,
                         "'%s' must begin and end with a lower-case letter or a digit", value);
    if (strstr(value, ".."))
        return error_set(error, ERR_INVALID, "'%s' has two dots in a row", value);
    struct in_addr address;
    if (inet_pton(AF_INET, value, &address) == 1)
        return error_set(error, ERR_INVALID, "'%s' looks like an IP address, which S3 refuses",
                         value);
    for (size_t i = 0; i < sizeof(reserved_starts) / sizeof(*reserved_starts); i++)
        if (starts_with(value, reserved_starts[i]))
            return error_set(error, ERR_INVALID, "'%s' begins with '%s', which S3 reserves", value,
                             reserved_starts[i]);
    for (size_t i = 0; i < sizeof(reserved_ends) / sizeof(*reserved_ends); i++)
        if (ends_with(value, reserved_ends[i]))
            return error_set(error, ERR_INVALID, "'%s' ends with '%s', which S3 reserves", value,
                             reserved_ends[i]);
    return 0;
}

int settings_check_role_arn(const char *value, char clean[SETTINGS_VALUE_SIZE], struct error *error)
{
    static const char form[] = "arn:aws:iam::ACCOUNT:role/NAME";
    size_t length = strlen(value);
    if (length < 20 || length > 2048)
        return error_set(error, ERR_INVALID,
                         "a role's ARN has 20 to 2048 characters and looks like %s; this has %zu",
                         form, length);
    const char *p = value;
    if (!starts_with(p, "arn:aws"))
        goto invalid;
    p += strlen("arn:aws");
    p += strspn(p, LOWER "-");
    if (!starts_with(p, ":iam::"))
        goto invalid;
    p += strlen(":iam::");
    p += strspn(p, LOWER UPPER DIGITS "_-");
    if (!starts_with(p, ":role/"))
        goto invalid;
    p += strlen(":role/");
    size_t name = strspn(p, LOWER UPPER DIGITS "_+=,.@/-");
    if (name == 0 || p[name] || p[0] == '/' || p[name - 1] == '/')
        goto invalid;
    memcpy(clean, value, length + 1);
    return 0;
invalid:
    return error_set(error, ERR_INVALID, "'%.200s' is not a role's ARN, which looks like %s", value,
                     form);
}

bool settings_role_arn_is_aws(const char *arn)
{
    const char *account = strstr(arn, ":iam::") + strlen(":iam::");
    return strspn(account, DIGITS) == 12 && account[12] == ':';
}

int settings_check_external_id(const char *value, char clean[SETTINGS_VALUE_SIZE],
                               struct error *error)
{
    return copy_checked(value, 2, 1224, LOWER UPPER DIGITS "_+=,.@:/-",
                        "the letters, digits and _+=,.@:/- that STS allows", clean, error);
}

int settings_check_region(const char *value, char clean[SETTINGS_VALUE_SIZE], struct error *error)
{
    return copy_checked(value, 1, 63, LOWER DIGITS "-",
                        "the lower-case letters, digits and '-' of a region such as eu-west-1",
                        clean, error);
}

static bool is_loopback(const char *host, bool is_ipv6)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (is_ipv6)
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    size_t length = strlen(host), tail = strlen(".localhost");
    return strcasecmp(host, "localhost") == 0 || /* RFC 6761, 6.3: always this machine */
           (length > tail && strcasecmp(host + length - tail, ".localhost") == 0);
}

int settings_check_endpoint(const char *value, char clean[SETTINGS_VALUE_SIZE], struct error *error)
{
    bool plain = starts_with(value, "http://");
    if (!plain && !starts_with(value, "https://"))
        return error_set(error, ERR_INVALID, "'%.200s' must begin with https://", value);
    const char *p = strstr(value, "//") + 2;
    bool is_ipv6 = *p == '[';
    p += is_ipv6;
    size_t length = strspn(p, is_ipv6 ? DIGITS "abcdefABCDEF:." : LOWER UPPER DIGITS ".-");
    char host[MAX_HOST + 1];
    if (length == 0 || length > MAX_HOST)
        goto invalid;
    memcpy(host, p, length);
    host[length] = '\0';
    p += length;
    struct in6_addr v6;
    if (is_ipv6 && (*p++ != ']' || inet_pton(AF_INET6, host, &v6) != 1))
        goto invalid;
    if (*p == ':') {
        size_t digits = strspn(++p, DIGITS);
        if (digits == 0 || digits > 5 || atoi(p) < 1 || atoi(p) > 65535)
            goto invalid;
        p += digits;
    }
    size_t used = (size_t)(p - value);
    if (strcmp(p, "/") != 0 && *p)
        goto invalid;
    if (plain && !is_loopback(host, is_ipv6))
        return error_set(error, ERR_INVALID,
                         "'%.200s': plain http would show the session's token to the network; use "
                         "https:// (http:// is for this machine's own addresses only)",
                         value);
    memcpy(clean, value, used);
    clean[used] = '\0';
    return 0;
invalid:
    return error_set(error, ERR_INVALID,
                     "'%.200s' is not https://HOST or https://HOST:PORT (no user, path or query)",
                     value);
}

int settings_check_prefix(const char *value, char clean[SETTINGS_VALUE_SIZE], struct error *error)
{
    int rc = copy_checked(value, 0, MAX_PREFIX, LOWER UPPER DIGITS "!_.'()/=-",
                          "A-Z a-z 0-9 ! _ . ' ( ) / = -", clean, error);
    if (rc || !*value)
        return rc;
    if (value[0] == '/')
        return error_set(error, ERR_INVALID, "'%s' must not begin with a slash", value);
    if (!ends_with(value, "/"))
        strcat(clean, "/");
    if (strlen(clean) > MAX_PREFIX)
        return error_set(error, ERR_INVALID, "has %zu characters with its final slash; at most %d",
                         strlen(clean), MAX_PREFIX);
    if (strstr(clean, "//") || starts_with(clean, "./") || starts_with(clean, "../") ||
        strstr(clean, "/./") || strstr(clean, "/../"))
        return error_set(error, ERR_INVALID, "'%s' has a part that is empty, '.' or '..'", value);
    return 0;
}

bool settings_quota_of(const char *value, struct space_quota *quota)
{
    static const char units[] = "KMGT";
    size_t digits = strspn(value, DIGITS);
    *quota = (struct space_quota){0};
    if (digits == 0 || digits > MAX_QUOTA_DIGITS)
        return false;
    unsigned long long number = strtoull(value, NULL, 10);
    const char *rest = value + digits;
    if (strcmp(rest, "%") == 0) {
        quota->percent = (unsigned)number;
        return number >= 1 && number <= 100;
    }
    if (*rest) {
        const char *unit = strchr(units, *rest);
        if (!unit || rest[1])
            return false;
        number <<= 10 * (unit - units + 1);
    }
    quota->bytes = number;
    return number >= SETTINGS_LEAST_QUOTA;
}

int settings_check_quota(const char *value, char clean[SETTINGS_VALUE_SIZE], struct error *error)
{
    struct space_quota quota;
    if (!settings_quota_of(value, &quota))
        return error_set(
            error, ERR_INVALID,
            "'%.64s' is neither a part of the spool's file system, 1%% to 100%%, nor a "
            "size of 1M or more, such as 500M, 20G or 1T",
            value);
    memcpy(clean, value, strlen(value) + 1);
    return 0;
}

int settings_check_path(const char *value, char clean[SETTINGS_VALUE_SIZE], struct error *error)
{
    size_t used = 0;
    if (value[0] != '/')
        return error_set(error, ERR_INVALID, "'%.200s' must be an absolute path", value);
    if (strlen(value) >= SETTINGS_VALUE_SIZE)
        return error_set(error, ERR_INVALID, "the path has more than %d bytes",
                         SETTINGS_VALUE_SIZE - 1);
    if (text_has_control(value))
        return error_set(error, ERR_INVALID, "the path has a control character");
    for (const char *p = value; *p;) {
        p += strspn(p, "/");
        size_t length = strcspn(p, "/");
        if (length == 2 && p[0] == '.' && p[1] == '.')
            return error_set(error, ERR_INVALID, "'%.200s' must not have a '..' part", value);
        if (length && !(length == 1 && *p == '.')) {
            clean[used++] = '/';
            memcpy(clean + used, p, length);
            used += length;
        }
        p += length;
    }
    clean[used] = '\0';
    if (used == 0)
        return error_set(error, ERR_INVALID, "must not be the root directory");
    return 0;
}
