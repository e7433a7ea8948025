/* What an STS error means, and what a person can do about it. Used by sts.c. */
#ifndef CASTBUCKET_AWS_STS_ERROR_H
#define CASTBUCKET_AWS_STS_ERROR_H

#include "recorder/aws/sts.h"

struct sts_failure {
    int status;
    char code[64];     /* "AccessDenied"; "" when the answer names none */
    char message[512]; /* may be empty */
    bool clock;        /* it was our clock that was refused */
};

/* Reads AWS's <ErrorResponse><Error> and RADOS Gateway's bare <Error>. */
void sts_failure_read(struct sts_failure *failure, const struct http_response *response);

/* Sets the error and returns its code. */
int sts_failure_explain(const struct sts_failure *failure, const struct sts_role *role,
                        const struct aws_credentials *base, struct error *error);

#endif
