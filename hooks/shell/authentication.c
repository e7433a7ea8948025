#include "hooks/shell/authentication.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/opensslv.h>

#define STRING_OF(number) #number
#define TEXT_OF(macro) STRING_OF(macro)
#define LIBCRYPTO "libcrypto.so." TEXT_OF(OPENSSL_SHLIB_VERSION)

#define MOST ((size_t)64 << 10) /* of the file; a certificate has some KiB */
#define SHA256_SIZE 32

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* In place. The length, or -1. */
static ptrdiff_t decode_base64(char *text)
{
    unsigned value = 0, bits = 0;
    char *to = text;
    size_t length = strcspn(text, "=");
    if (text[length + strspn(text + length, "=")])
        return -1;
    for (size_t i = 0; i < length; i++) {
        const char *digit = strchr(alphabet, text[i]);
        if (!digit)
            return -1;
        value = value << 6 | (unsigned)(digit - alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *to++ = (char)(value >> bits & 0xff);
        }
    }
    return to - text;
}

/* ssh-keygen's way to write it: base64 without padding. */
static void name_digest(char fingerprint[64], const unsigned char digest[SHA256_SIZE])
{
    char *to = fingerprint + sprintf(fingerprint, "SHA256:");
    unsigned value = 0, bits = 0;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        value = value << 8 | digest[i];
        for (bits += 8; bits >= 6; bits -= 6)
            *to++ = alphabet[value >> (bits - 6) & 63];
    }
    *to++ = alphabet[value << (6 - bits) & 63];
    *to = '\0';
}

/* libcrypto takes longer to load than all the rest of this program, so only a session that comes
 * with a key does. */
static bool hash(const void *data, size_t length, unsigned char digest[SHA256_SIZE])
{
    union {
        void *address;
        unsigned char *(*function)(const unsigned char *, size_t, unsigned char *);
    } sha256 = {NULL};
    void *library = dlopen(LIBCRYPTO, RTLD_NOW | RTLD_LOCAL);
    if (library)
        sha256.address = dlsym(library, "SHA256");
    return sha256.address && sha256.function(data, length, digest);
}

static void take_key(struct authentication *authentication, const char *type, char *key)
{
    unsigned char digest[SHA256_SIZE];
    size_t used = strlen(authentication->marker);
    ptrdiff_t length = decode_base64(key);
    if (length <= 0 || !hash(key, (size_t)length, digest))
        return;
    name_digest(authentication->fingerprint, digest);
    snprintf(authentication->marker + used, sizeof(authentication->marker) - used, " (%.60s %s)",
             type, authentication->fingerprint);
}

static void take_line(struct authentication *authentication, char *line)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-_/.@";
    char *rest = line, *method = strsep(&rest, " "), *type = strsep(&rest, " ");
    char *key = strsep(&rest, " ");
    size_t used = strlen(authentication->marker);
    if (!*method || method[strspn(method, allowed)] || (type && type[strspn(type, allowed)]))
        return;
    snprintf(authentication->marker + used, sizeof(authentication->marker) - used, "%s%.60s",
             used ? ", " : "authenticated by ", method);
    if (type && key)
        take_key(authentication, type, key);
}

void authentication_read(struct authentication *authentication, const char *path)
{
    struct stat info;
    *authentication = (struct authentication){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    char *text = malloc(MOST + 1);
    if (fd >= 0 && text && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
        info.st_uid == getuid() && (info.st_mode & 077) == 0) {
        ssize_t got = read(fd, text, MOST);
        text[got > 0 ? got : 0] = '\0';
        for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
            take_line(authentication, line);
    }
    if (fd >= 0)
        close(fd);
    free(text);
}
