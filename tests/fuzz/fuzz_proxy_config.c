/* Any text as the proxy's configuration: refused with a reason, or what config.h promises. */
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hooks/proxy/config.h"
#include "hooks/proxy/log.h"
#include "tests/fuzz/fuzz.h"

const char *__lsan_default_suppressions(void);

/* libconfuse 3.3 loses the words it was reading when a file has a syntax error. The proxy reads its
 * configuration once. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfuse.so\n";
}

static unsigned complaints;

void log_line(int level, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    (void)level;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    complaints++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_config config;
    int fd = memfd_create("proxy.conf", MFD_CLOEXEC);
    fuzz_require(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
    fuzz_require(lseek(fd, 0, SEEK_SET) == 0);
    complaints = 0;
    if (config_read("proxy.conf", fd, &config)) {
        fuzz_require(complaints);
        return 0;
    }
    fuzz_require(config.listen_count && config.host_key_count && config.socket_count);
    fuzz_require(config.authorized_keys[0] && config.plugin[0]);
    fuzz_require(config.login_grace_time > 0 && config.max_unauthenticated > 0 &&
                 config.max_connections > 0);
    for (size_t i = 0; i < config.listen_count; i++)
        fuzz_require(config.listen[i].host[0] && config.listen[i].port[0]);
    for (size_t i = 0; i < config.host_key_count; i++)
        fuzz_require(config.host_keys[i][0]);
    for (size_t i = 0; i < config.socket_count; i++) {
        const struct socket_config *socket = &config.sockets[i];
        fuzz_require(socket->name[0] && strlen(socket->name) <= CONFIG_MAX_SOCKET_NAME);
        fuzz_require(socket->address.host[0] && socket->known_hosts[0]);
        fuzz_require(!socket->identity || !socket->identity_agent);
        fuzz_require(socket->identity || socket->identity_agent || socket->interactive_login);
        fuzz_require(!socket->identity || socket->identity[0]);
        fuzz_require(!socket->identity_agent || socket->identity_agent[0]);
        fuzz_require(socket->upstream_user && config_socket(&config, socket->name) == socket);
    }
    config_free(&config);
    return 0;
}
