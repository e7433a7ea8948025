/* An operation as a line for a person. */
#ifndef CASTBUCKET_TRANSFER_TRANSFER_TEXT_H
#define CASTBUCKET_TRANSFER_TRANSFER_TEXT_H

#include "recorder/transfer/transfer.h"

/* Appends, without a line feed: put /srv/app.tar.gz 1048576 bytes sha256:... ok
 * Names are escaped as text_escape() does, so it is always printable text on one line. */
__attribute__((warn_unused_result)) int transfer_line(const struct transfer_operation *operation,
                                                      struct buffer *out);

/* The same for a name alone. One with a space in it, or none in it at all, stands in quotation
 * marks. */
__attribute__((warn_unused_result)) int transfer_name_text(const struct transfer_name *name,
                                                           struct buffer *out);

#endif
