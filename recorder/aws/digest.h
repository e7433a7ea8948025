/* Digests that requests to AWS carry, besides SHA-256 (recorder/base/sha256.h). */
#ifndef CASTBUCKET_AWS_DIGEST_H
#define CASTBUCKET_AWS_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/aws/http.h"
#include "recorder/base/error.h"

/* SHA-256 of nothing, the payload hash of a request without a body. */
#define SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* HMAC-SHA-256 (RFC 2104). ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int
hmac_sha256(const void *key, size_t key_length, const void *data, size_t length, uint8_t out[32]);

/* MD5 of a request's body: what Content-MD5 and many ETags are. A guard against accidents only;
 * SHA-256 is the proof. Where a FIPS provider forbids MD5, `known` is false and that is no error.
 */
struct md5 {
    bool known;
    uint8_t bytes[16];
};
__attribute__((warn_unused_result)) int body_md5(const struct http_body *body, struct md5 *md5,
                                                 struct error *error);

#endif
