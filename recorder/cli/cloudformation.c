#include "recorder/cli/iam_documents.h"

/* The assembler takes the file in as it is, so that what is printed is what is in the repository.
 * The path is relative to the top of the source tree, where the build runs. */
__asm__(".pushsection .rodata\n"
        ".global iam_cloudformation_template\n"
        ".hidden iam_cloudformation_template\n"
        ".type iam_cloudformation_template, @object\n"
        "iam_cloudformation_template:\n"
        ".incbin \"pkg/aws/castbucket.yaml\"\n"
        ".byte 0\n"
        ".size iam_cloudformation_template, . - iam_cloudformation_template\n"
        ".popsection\n");
