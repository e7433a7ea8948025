#include "hooks/proxy/address_patterns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An exclamation mark, an IPv6 address, and /128. */
#define MAX_PATTERN 64
#define MAPPED "::ffff:"

struct ip {
    int family;
    unsigned char bytes[16];
};

struct pattern {
    bool excludes, wildcard;
    char text[MAX_PATTERN]; /* wildcard */
    struct ip ip;           /* else */
    unsigned bits;
};

static unsigned width(const struct ip *ip)
{
    return ip->family == AF_INET ? 32 : 128;
}

static bool read_ip(const char *text, struct ip *ip)
{
    *ip = (struct ip){.family = AF_INET};
    if (inet_pton(AF_INET, text, ip->bytes) == 1)
        return true;
    ip->family = AF_INET6;
    return inet_pton(AF_INET6, text, ip->bytes) == 1;
}

/* That of a peer: its zone (fe80::1%eth0) is no part of it. */
static bool read_peer(const char *address, struct ip *ip)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[INET6_ADDRSTRLEN];
    size_t length = strcspn(address, "%");
    if (length >= sizeof(text))
        return false;
    memcpy(text, address, length);
    text[length] = '\0';
    if (!read_ip(text, ip))
        return false;
    if (ip->family == AF_INET6 && memcmp(ip->bytes, mapped, sizeof(mapped)) == 0) {
        ip->family = AF_INET;
        memmove(ip->bytes, ip->bytes + 12, 4);
    }
    return true;
}

static bool same_network(const struct ip *network, unsigned bits, const struct ip *ip)
{
    if (network->family != ip->family || memcmp(network->bytes, ip->bytes, bits / 8) != 0)
        return false;
    unsigned mask = 0xff00u >> bits % 8 & 0xff;
    return bits % 8 == 0 || ((network->bytes[bits / 8] ^ ip->bytes[bits / 8]) & mask) == 0;
}

static bool has_host_bits(const struct ip *ip, unsigned bits)
{
    for (unsigned i = bits; i < width(ip); i++)
        if (ip->bytes[i / 8] & (0x80u >> i % 8))
            return true;
    return false;
}

/* Returns NULL, or what is wrong with it. */
static const char *read_network(char *text, struct pattern *pattern)
{
    char *slash = strchr(text, '/');
    if (slash)
        *slash++ = '\0';
    if (!read_ip(text, &pattern->ip))
        return "is no address, network or wildcard of addresses (host names are not looked up)";
    pattern->bits = width(&pattern->ip);
    if (!slash)
        return NULL;
    size_t digits = strspn(slash, "0123456789");
    unsigned long bits = strtoul(slash, NULL, 10);
    if (digits < 1 || digits > 3 || slash[digits] || bits > pattern->bits)
        return "has no length of a prefix behind its /";
    pattern->bits = (unsigned)bits;
    return has_host_bits(&pattern->ip, pattern->bits) ? "has bits behind its prefix" : NULL;
}

/* Letters are of IPv6 addresses only, which have colons: db.example* is a host's name. */
static bool is_wildcard(const char *text)
{
    return text[strspn(text, "0123456789abcdefABCDEF:.*?")] == '\0' &&
           (strchr(text, ':') || !strpbrk(text, "abcdefABCDEF"));
}

static const char *read_pattern(const char *text, size_t length, struct pattern *pattern)
{
    char copy[MAX_PATTERN];
    *pattern = (struct pattern){.excludes = length > 0 && *text == '!'};
    if (pattern->excludes) {
        text++;
        length--;
    }
    if (length == 0)
        return "is empty";
    if (length >= sizeof(copy))
        return "is too long";
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (strncasecmp(copy, MAPPED, strlen(MAPPED)) == 0)
        return "is an IPv4 address inside of an IPv6 one: write it as IPv4";
    if (!strpbrk(copy, "*?") || !is_wildcard(copy))
        return read_network(copy, pattern);
    pattern->wildcard = true;
    memcpy(pattern->text, copy, length + 1);
    return NULL;
}

int address_patterns_check(const char *list, char *reason, size_t size)
{
    unsigned count = 0;
    for (const char *at = list;; at++) {
        struct pattern pattern;
        size_t length = strcspn(at, ",");
        const char *wrong = read_pattern(at, length, &pattern);
        if (++count > ADDRESS_PATTERNS_MAX)
            wrong = "is one pattern too many";
        if (wrong) {
            snprintf(reason, size, "\"%.*s\" %s", length < MAX_PATTERN ? (int)length : MAX_PATTERN,
                     at, wrong);
            return -1;
        }
        at += length;
        if (!*at)
            return 0;
    }
}

static char lower(char c)
{
    return c >= 'A' && c <= 'F' ? (char)(c + ('a' - 'A')) : c;
}

/* Goes back to the last star only, so it ends soon. */
static bool wildcard_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern && (*pattern == '?' || lower(*pattern) == *text)) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

bool address_patterns_match(const char *list, const char *address)
{
    struct ip ip;
    char text[INET6_ADDRSTRLEN];
    bool found = false;
    if (!read_peer(address, &ip) || !inet_ntop(ip.family, ip.bytes, text, sizeof(text)))
        return false;
    for (const char *at = list;; at++) {
        struct pattern pattern;
        size_t length = strcspn(at, ",");
        if (read_pattern(at, length, &pattern))
            return false;
        bool matches = pattern.wildcard ? wildcard_matches(pattern.text, text)
                                        : same_network(&pattern.ip, pattern.bits, &ip);
        if (matches && pattern.excludes)
            return false;
        found = found || matches;
        at += length;
        if (!*at)
            return found;
    }
}
