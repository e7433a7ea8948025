/* Any bytes as an XML answer: nothing given that is beyond the caps of xml.h. */
#include "recorder/aws/xml.h"
#include "tests/fuzz/fuzz.h"

static int see(void *context, const char *path, const char *text)
{
    unsigned *elements = context;
    ++*elements;
    fuzz_require(strlen(path) < XML_MAX_PATH);
    fuzz_require(strlen(text) <= XML_MAX_TEXT);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned elements = 0;
    struct error error = ERROR_INIT;
    char text[64];
    int rc = xml_read((const char *)data, size, see, &elements, &error);
    fuzz_require(rc == error.code && (rc == 0 || error.text[0]));
    fuzz_require(rc || elements);
    if (xml_text((const char *)data, size, "Error/Code", text, sizeof(text)))
        fuzz_require(strlen(text) < sizeof(text));
    return 0;
}
