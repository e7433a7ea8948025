/* The decoders of the single protocols, for transfer.c. Each has the same five functions. */
#ifndef CASTBUCKET_TRANSFER_DECODERS_H
#define CASTBUCKET_TRANSFER_DECODERS_H

#include "recorder/transfer/transfer_state.h"

/* What a call of take() is about. */
struct arrival {
    enum transfer_direction direction;
    int64_t time_ns;
    const uint8_t *data;
    size_t length;
    size_t used; /* set: bytes that were let go or are in the decoder's unfinished message */
    const struct transfer_sink *sink;
    const char *reason; /* set with DECODER_LOST */
};

/* take() returns 0, an error, or this: what came makes no sense, from the start of the message that
 * is unfinished now. */
enum { DECODER_LOST = 1 };

struct sftp;
struct sftp *sftp_new(void);
void sftp_free(struct sftp *sftp);
__attribute__((warn_unused_result)) int sftp_take(struct sftp *sftp, struct arrival *arrival);
/* Bytes of the message that is unfinished. */
const struct buffer *sftp_unfinished(const struct sftp *sftp, enum transfer_direction direction);
/* Tells what is not over. */
__attribute__((warn_unused_result)) int sftp_end(struct sftp *sftp,
                                                 const struct transfer_sink *sink);
void sftp_walk(struct sftp *sftp, struct state_walk *walk);

struct scp;
struct scp *scp_new(bool to_far);
void scp_free(struct scp *scp);
__attribute__((warn_unused_result)) int scp_take(struct scp *scp, struct arrival *arrival);
const struct buffer *scp_unfinished(const struct scp *scp, enum transfer_direction direction);
__attribute__((warn_unused_result)) int scp_end(struct scp *scp, const struct transfer_sink *sink);
void scp_walk(struct scp *scp, struct state_walk *walk);

struct opaque;
struct opaque *opaque_new(enum transfer_protocol protocol);
void opaque_free(struct opaque *opaque);
__attribute__((warn_unused_result)) int opaque_take(struct opaque *opaque, struct arrival *arrival);
const struct buffer *opaque_unfinished(const struct opaque *opaque,
                                       enum transfer_direction direction);
__attribute__((warn_unused_result)) int opaque_end(struct opaque *opaque,
                                                   const struct transfer_sink *sink);
void opaque_walk(struct opaque *opaque, struct state_walk *walk);

#endif
