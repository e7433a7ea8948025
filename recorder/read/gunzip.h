/* Decompressing a recording as its bytes come. Accepts gzip of any number of members (RFC 1952) and
 * a cast that is not compressed at all; the first byte tells them apart. Memory does not depend on
 * the input. One thread at a time. */
#ifndef CASTBUCKET_READ_GUNZIP_H
#define CASTBUCKET_READ_GUNZIP_H

#include <stddef.h>

#include "recorder/base/error.h"

struct gunzip;

/* `sink` gets the decompressed bytes; non-zero stops and is returned. */
__attribute__((warn_unused_result)) int
gunzip_new(int (*sink)(void *context, const void *data, size_t length, struct error *error),
           void *context, struct gunzip **gunzip, struct error *error);

/* ERR_DAMAGED names the offset in the compressed bytes; what came before it has been delivered. */
__attribute__((warn_unused_result)) int gunzip_feed(struct gunzip *gunzip, const void *data,
                                                    size_t length, struct error *error);

/* No more bytes. ERR_DAMAGED when they end in the middle. */
__attribute__((warn_unused_result)) int gunzip_finish(struct gunzip *gunzip, struct error *error);

void gunzip_free(struct gunzip *gunzip);

#endif
