/* Credentials that the machine gives to what runs on it: a container's role (ECS, EKS Pod Identity)
 * or an EC2 instance's. They last hours and are nobody's to store. */
#ifndef CASTBUCKET_AWS_MACHINE_CREDENTIALS_H
#define CASTBUCKET_AWS_MACHINE_CREDENTIALS_H

#include "recorder/aws/credentials.h"
#include "recorder/aws/http.h"
#include "recorder/base/error.h"

/* Asks what AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI name, if
 * they are set, with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN;
 * else the instance metadata service, version 2, unless AWS_EC2_METADATA_DISABLED is "true"
 * (AWS_EC2_METADATA_SERVICE_ENDPOINT says where it is, if not at http://169.254.169.254).
 *
 * ERR_NOT_FOUND, with what was asked and why it gave nothing: there are none here. Any other error
 * is of something that ought to have given some. Takes at most some seconds.
 *
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html */
__attribute__((warn_unused_result)) int machine_credentials(struct http_client *client,
                                                            struct aws_credentials *credentials,
                                                            struct error *error);

#endif
