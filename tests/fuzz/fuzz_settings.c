/* Any text as a settings file: refused with a sentence, or whole and consistent. */
#include "recorder/settings/settings.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings *settings = NULL;
    struct error error = ERROR_INIT;
    int rc = settings_parse("settings.json", (const char *)data, size, &settings, &error);
    fuzz_require((rc == 0) == (settings != NULL));
    fuzz_require(rc == error.code && (rc == 0 || error.text[0]));
    if (rc == 0) {
        const struct organization_settings *organization;
        const struct socket_settings *socket;
        int version = settings_cast_version(settings);
        fuzz_require(version == 2 || version == 3);
        fuzz_require(settings_spool(settings)[0]);
        for (size_t i = 0; (organization = settings_organization_at(settings, i)); i++)
            fuzz_require(settings_organization(settings, organization->name) == organization);
        for (size_t i = 0; (socket = settings_socket_at(settings, i)); i++)
            fuzz_require(settings_socket(settings, socket->name) == socket);
    }
    settings_unref(settings);
    return 0;
}
