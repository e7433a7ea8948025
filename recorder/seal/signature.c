#include "recorder/seal/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "recorder/base/base64.h"
#include "recorder/base/file.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"

#define SIGNATURE_SIZE 64
#define MAX_KEY_FILE ((size_t)1 << 20)
#define MAX_TRUSTED 1000

#define KEY_MEMBER ",\"signing_key\":\""
#define SIGNATURE_MEMBER ",\"signature\":\""
#define SIGNATURE_TEXT BASE64_SIZE(SIGNATURE_SIZE)
_Static_assert(sizeof(SIGNATURE_MEMBER) - 1 + SIGNATURE_TEXT + 3 == SIGNATURE_TAIL, "\"}\\n");

struct signing_key {
    EVP_PKEY *pkey;
    char id[SIGNING_KEY_ID_SIZE];
};

struct trusted_keys {
    struct signing_key *keys;
    size_t count;
};

static int is_not_a_key(const char *path, const char *what, struct error *error)
{
    ERR_clear_error();
    return error_set(error, ERR_INVALID, "%s is not %s", path, what);
}

/* The id of a key of ours; ERR_INVALID for a key of another kind. */
static int identify(struct signing_key *key, const char *path, struct error *error)
{
    uint8_t hash[SHA256_SIZE];
    uint8_t *der = NULL;
    if (EVP_PKEY_get_id(key->pkey) != EVP_PKEY_ED25519)
        return is_not_a_key(path,
                            "an Ed25519 key: make one with openssl genpkey -algorithm "
                            "ed25519, or castbucket settings signing-key --generate",
                            error);
    int length = i2d_PUBKEY(key->pkey, &der);
    int rc = length > 0 ? sha256(der, (size_t)length, hash) : ERR_NO_MEMORY;
    OPENSSL_free(der);
    if (rc)
        return error_set(error, rc, "%s: no memory for the key", path);
    text_hex(key->id, hash, sizeof(hash));
    return 0;
}

/* Nobody is asked for a password: there is nobody to ask. */
static int no_password(char *password, int size, int writing, void *context)
{
    (void)password, (void)size, (void)writing, (void)context;
    return -1;
}

static int read_file(const char *path, bool secret, struct buffer *text, struct error *error)
{
    struct stat info;
    /* O_NONBLOCK, so that a FIFO in its place is an error and not a wait. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info)) {
        int rc = error_system(error, "cannot open the key %s", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = 0;
    if (!S_ISREG(info.st_mode))
        rc = error_set(error, ERR_INVALID, "the key %s is not a regular file", path);
    else if (secret && (info.st_mode & (S_IRWXG | S_IRWXO)))
        rc = error_set(error, ERR_DENIED,
                       "others may read the private key %s, so it is not used; run: chmod 600 '%s'",
                       path, path);
    else if ((uintmax_t)info.st_size > MAX_KEY_FILE)
        rc = error_set(error, ERR_LIMIT, "the key %s is larger than %zu bytes", path, MAX_KEY_FILE);
    size_t size = (size_t)info.st_size;
    if (!rc && buffer_reserve(text, size + 1))
        rc = error_set(error, ERR_NO_MEMORY, "no memory for the key %s", path);
    if (!rc) {
        rc = file_pread_all(fd, text->data, size, 0, error);
        text->length = rc ? 0 : size;
        if (rc)
            error_prefix(error, "the key %s", path);
    }
    close(fd);
    return rc;
}

int signing_key_load(const char *path, struct signing_key **loaded, struct error *error)
{
    struct buffer text = BUFFER_INIT(MAX_KEY_FILE + 1);
    BIO *bio = NULL;
    struct signing_key *key = calloc(1, sizeof(*key));
    *loaded = NULL;
    if (!key)
        return error_set(error, ERR_NO_MEMORY, "no memory for the key %s", path);
    int rc = read_file(path, true, &text, error);
    if (rc)
        goto out;
    bio = BIO_new_mem_buf(text.data, (int)text.length);
    key->pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    rc = key->pkey ? identify(key, path, error)
                   : is_not_a_key(path, "a private key in PEM without a password", error);
out:
    BIO_free(bio);
    if (text.data)
        OPENSSL_cleanse(text.data, text.length);
    buffer_free(&text);
    if (rc)
        signing_key_free(key);
    else
        *loaded = key;
    return rc;
}

/* Writes a new file whole or not at all. */
static int create(const char *path, mode_t mode, const char *reader, BIO *text, struct error *error)
{
    char *data, parent[PATH_MAX];
    long length = BIO_get_mem_data(text, &data);
    if (snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent))
        return error_set(error, ERR_INVALID, "the path of the key is too long");
    int directory = open(dirname(parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_system(error, "cannot make the key %s: its directory", path);
    int rc = 0;
    int owner = open(reader, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        rc = error_system(error, "cannot make the key %s", path);
        goto out;
    }
    rc = fchmod(fd, mode) ? error_system(error, "cannot set its mode") : 0;
    if (!rc)
        rc = file_give_to_owner(owner < 0 ? directory : owner, fd, error);
    if (!rc)
        rc = file_write_all(fd, data, (size_t)length, error);
    if (!rc && fsync(fd))
        rc = error_system(error, "cannot sync it");
    if (!rc)
        rc = file_sync_directory(directory, error);
    if (rc) {
        error_prefix(error, "cannot make the key %s", path);
        unlink(path);
    }
    close(fd);
out:
    if (owner >= 0)
        close(owner);
    close(directory);
    return rc;
}

int signing_key_generate(const char *path, const char *reader, struct signing_key **generated,
                         struct error *error)
{
    char public[PATH_MAX];
    int rc = error_set(error, ERR_NO_MEMORY, "no memory for a key");
    struct signing_key *key = calloc(1, sizeof(*key));
    BIO *secret = BIO_new(BIO_s_secmem()), *open_text = BIO_new(BIO_s_mem());
    *generated = NULL;
    if (!key || !secret || !open_text)
        goto out;
    key->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!key->pkey || !PEM_write_bio_PrivateKey(secret, key->pkey, NULL, NULL, 0, NULL, NULL) ||
        !PEM_write_bio_PUBKEY(open_text, key->pkey))
        goto out;
    rc = identify(key, path, error);
    if (!rc && snprintf(public, sizeof(public), "%s.pub", path) >= (int)sizeof(public))
        rc = error_set(error, ERR_INVALID, "the path of the key is too long");
    if (!rc)
        rc = create(path, 0600, reader, secret, error);
    if (rc)
        goto out;
    rc = create(public, 0644, reader, open_text, error);
    if (rc)
        unlink(path);
out:
    BIO_free(secret);
    BIO_free(open_text);
    if (rc)
        signing_key_free(key);
    else
        *generated = key;
    return rc;
}

const char *signing_key_id(const struct signing_key *key)
{
    return key->id;
}

void signing_key_free(struct signing_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

int signature_add(const struct signing_key *key, struct buffer *manifest, struct error *error)
{
    uint8_t signature[SIGNATURE_SIZE];
    char text[SIGNATURE_TEXT + 1];
    size_t size = sizeof(signature);
    if (manifest->length < 2 || memcmp(manifest->data + manifest->length - 2, "}\n", 2) != 0)
        return error_set(error, ERR_INVALID, "what is to be signed is not a manifest");
    manifest->length -= 2;
    int rc = buffer_printf(manifest, KEY_MEMBER "%s\"", key->id);
    if (rc)
        return error_set(error, rc, "cannot sign the manifest: %s",
                         rc == ERR_LIMIT ? "it is too large" : "there is no memory");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key->pkey) != 1 ||
        EVP_DigestSign(context, signature, &size, (const uint8_t *)manifest->data,
                       manifest->length) != 1 ||
        size != sizeof(signature))
        rc = error_set(error, ERR_SYSTEM, "cannot sign the manifest with the key %s", key->id);
    ERR_clear_error();
    EVP_MD_CTX_free(context);
    base64_text(text, signature, sizeof(signature));
    if (!rc && buffer_printf(manifest, SIGNATURE_MEMBER "%s\"}\n", text))
        rc = error_set(error, ERR_NO_MEMORY, "no memory to sign the manifest");
    return rc;
}

static size_t count_pem(const struct buffer *text)
{
    static const char begin[] = "-----BEGIN";
    const char *at = text->data, *end = text->data + text->length;
    size_t count = 0;
    while ((at = memmem(at, (size_t)(end - at), begin, sizeof(begin) - 1))) {
        at += sizeof(begin) - 1;
        count++;
    }
    return count;
}

int trusted_keys_load(const char *path, struct trusted_keys **loaded, struct error *error)
{
    struct buffer text = BUFFER_INIT(MAX_KEY_FILE + 1);
    BIO *bio = NULL;
    struct trusted_keys *trusted = calloc(1, sizeof(*trusted));
    *loaded = NULL;
    if (!trusted)
        return error_set(error, ERR_NO_MEMORY, "no memory for the keys of %s", path);
    trusted->keys = calloc(MAX_TRUSTED, sizeof(*trusted->keys));
    int rc = trusted->keys ? read_file(path, false, &text, error)
                           : error_set(error, ERR_NO_MEMORY, "no memory for the keys of %s", path);
    if (rc)
        goto out;
    bio = BIO_new_mem_buf(text.data, (int)text.length);
    while (!rc && bio) {
        struct signing_key *key = &trusted->keys[trusted->count];
        if (trusted->count == MAX_TRUSTED) {
            rc = error_set(error, ERR_LIMIT, "%s has more than %d keys", path, MAX_TRUSTED);
            break;
        }
        key->pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
        if (!key->pkey)
            break;
        trusted->count++;
        rc = identify(key, path, error);
    }
    ERR_clear_error();
    /* What begins like a key and is none must not be passed over in silence. */
    if (!rc && (trusted->count == 0 || trusted->count != count_pem(&text)))
        rc = is_not_a_key(path, "one public key or several in PEM (BEGIN PUBLIC KEY)", error);
out:
    BIO_free(bio);
    buffer_free(&text);
    if (rc)
        trusted_keys_free(trusted);
    else
        *loaded = trusted;
    return rc;
}

void trusted_keys_free(struct trusted_keys *trusted)
{
    if (!trusted)
        return;
    for (size_t i = 0; i < trusted->count; i++)
        EVP_PKEY_free(trusted->keys[i].pkey);
    free(trusted->keys);
    free(trusted);
}

static bool has(const char *text, const char *expected)
{
    return memcmp(text, expected, strlen(expected)) == 0;
}

/* Splits the end of a manifest. False when it does not end as a signed one does. */
static bool split(const char *text, size_t length, char id[SIGNING_KEY_ID_SIZE],
                  uint8_t signature[SIGNATURE_SIZE])
{
    const size_t key_size = sizeof(KEY_MEMBER) - 1 + SIGNING_KEY_ID_SIZE - 1 + 1;
    uint8_t hash[SHA256_SIZE], decoded[SIGNATURE_TEXT / 4 * 3];
    size_t decoded_size;
    if (length < key_size + SIGNATURE_TAIL)
        return false;
    const char *tail = text + length - SIGNATURE_TAIL, *member = tail - key_size;
    const char *encoded = tail + sizeof(SIGNATURE_MEMBER) - 1;
    if (!has(member, KEY_MEMBER) || tail[-1] != '"' || !has(tail, SIGNATURE_MEMBER) ||
        !has(encoded + SIGNATURE_TEXT, "\"}\n"))
        return false;
    memcpy(id, tail - SIGNING_KEY_ID_SIZE, SIGNING_KEY_ID_SIZE - 1);
    id[SIGNING_KEY_ID_SIZE - 1] = '\0';
    if (!text_unhex(hash, sizeof(hash), id) ||
        base64_decode(decoded, encoded, SIGNATURE_TEXT, &decoded_size) ||
        decoded_size != SIGNATURE_SIZE) {
        id[0] = '\0';
        return false;
    }
    memcpy(signature, decoded, SIGNATURE_SIZE);
    return true;
}

int signature_check(const char *text, size_t length, const char *signature,
                    const struct trusted_keys *trusted, enum signature_state *state,
                    char id[SIGNING_KEY_ID_SIZE], struct error *error)
{
    uint8_t bytes[SIGNATURE_SIZE];
    id[0] = '\0';
    *state = *signature ? SIGNATURE_BAD : SIGNATURE_NONE;
    if (!*signature || !split(text, length, id, bytes))
        return 0;
    *state = trusted ? SIGNATURE_UNKNOWN : SIGNATURE_UNCHECKED;
    for (size_t i = 0; trusted && i < trusted->count; i++) {
        if (strcmp(trusted->keys[i].id, id) != 0)
            continue;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        if (!context ||
            EVP_DigestVerifyInit(context, NULL, NULL, NULL, trusted->keys[i].pkey) != 1) {
            EVP_MD_CTX_free(context);
            ERR_clear_error();
            return error_set(error, ERR_NO_MEMORY, "no memory to check a signature");
        }
        bool good = EVP_DigestVerify(context, bytes, sizeof(bytes), (const uint8_t *)text,
                                     length - SIGNATURE_TAIL) == 1;
        *state = good ? SIGNATURE_TRUSTED : SIGNATURE_BAD;
        EVP_MD_CTX_free(context);
        ERR_clear_error();
        return 0;
    }
    return 0;
}
