/* The Ed25519 signature (RFC 8032) of a manifest: who has the public key knows that the recorder
 * with the private one wrote this manifest, and by its hashes also the recording.
 *
 * A signed manifest ends, byte for byte, in
 *
 *     ,"signing_key":"KEY ID","signature":"SIGNATURE"}\n
 *
 * KEY ID: 64 lower-case hexadecimal digits, the SHA-256 of the public key as DER (RFC 8410).
 * SIGNATURE: 88 characters of Base64. What is signed is the bytes of the file up to the comma
 * before "signature": all but the last SIGNATURE_TAIL bytes. Bytes and not JSON's values, so that
 * nobody has to write JSON like us to check it: `head -c -105` and `openssl pkeyutl -verify -rawin`
 * do.
 *
 * Keys are PEM: a private key is PKCS #8 without a password, as `openssl genpkey -algorithm
 * ed25519` writes it; public keys are SubjectPublicKeyInfo, any number in one file. */
#ifndef CASTBUCKET_SEAL_SIGNATURE_H
#define CASTBUCKET_SEAL_SIGNATURE_H

#include <stddef.h>

#include "recorder/base/buffer.h"
#include "recorder/base/error.h"

#define SIGNATURE_TAIL ((size_t)105) /* ,"signature":"88 characters"}\n */
#define SIGNING_KEY_ID_SIZE 65       /* hexadecimal, with a NUL */

struct signing_key;

/* ERR_DENIED when somebody else than the file's owner may read it. */
__attribute__((warn_unused_result)) int signing_key_load(const char *path, struct signing_key **key,
                                                         struct error *error);

/* Makes a new key in `path` (mode 0600; ERR_EXISTS when it is there) and its public part in
 * `path`.pub. Made as root, both belong to the owner of the directory `reader`, or, when there is
 * no such directory, of the one that they are in. */
__attribute__((warn_unused_result)) int signing_key_generate(const char *path, const char *reader,
                                                             struct signing_key **key,
                                                             struct error *error);

const char *signing_key_id(const struct signing_key *key);

void signing_key_free(struct signing_key *key); /* NULL does nothing */

/* Signs what manifest_write() has written. */
__attribute__((warn_unused_result)) int signature_add(const struct signing_key *key,
                                                      struct buffer *manifest, struct error *error);

/* Public keys that somebody trusts. */
struct trusted_keys;

/* ERR_INVALID when there is none in the file, or something else. */
__attribute__((warn_unused_result)) int
trusted_keys_load(const char *path, struct trusted_keys **keys, struct error *error);

void trusted_keys_free(struct trusted_keys *keys); /* NULL does nothing */

enum signature_state {
    SIGNATURE_NONE,      /* the manifest is not signed */
    SIGNATURE_UNCHECKED, /* it is, and nobody is trusted: `keys` is NULL */
    SIGNATURE_UNKNOWN,   /* by a key that is not among those that are trusted */
    SIGNATURE_BAD,       /* a trusted key did not sign this, or it is not where it has to be */
    SIGNATURE_TRUSTED,   /* by a key that is trusted */
};

/* Of the text of a manifest that manifest_read() has read; `signature` is that member of it. `id`
 * becomes the key that is named, "" when none is. */
__attribute__((warn_unused_result)) int
signature_check(const char *text, size_t length, const char *signature,
                const struct trusted_keys *keys, enum signature_state *state,
                char id[SIGNING_KEY_ID_SIZE], struct error *error);

#endif
