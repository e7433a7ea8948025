#include "hooks/proxy/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hooks/proxy/log.h"

/* A private key is readable by us and not by everybody, and has no passphrase (nobody is there to
 * be asked). Returns 0 and the key, which the caller frees. */
static int load_private(const struct proxy_config *config, const char *option, const char *file,
                        ssh_key *key)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        log_error("%s: %s: cannot read %s: %m", config->path, option, file);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    close(fd);
    if (!S_ISREG(st.st_mode)) {
        log_error("%s: %s: %s is not a regular file", config->path, option, file);
        return -1;
    }
    if (st.st_mode & 007) {
        log_error("%s: %s: %s is open to everybody (mode %04o): make it 0600 or 0640", config->path,
                  option, file, (unsigned)(st.st_mode & 07777));
        return -1;
    }
    if (ssh_pki_import_privkey_file(file, NULL, NULL, NULL, key) != SSH_OK) {
        log_error("%s: %s: %s is no private key that can be used, or has a passphrase",
                  config->path, option, file);
        return -1;
    }
    return 0;
}

static int check_readable(const struct proxy_config *config, const char *option, const char *file,
                          int flags)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
    if (fd < 0) {
        log_error("%s: %s: cannot read %s: %m", config->path, option, file);
        return -1;
    }
    close(fd);
    return 0;
}

int keys_load_host(const struct proxy_config *config, ssh_bind bind)
{
    int result = 0;
    for (size_t i = 0; i < config->host_key_count; i++) {
        ssh_key key = NULL;
        if (load_private(config, "host_key", config->host_keys[i], &key) < 0) {
            result = -1;
        } else if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK) {
            log_error("%s: host_key: %s: %s", config->path, config->host_keys[i],
                      ssh_get_error(bind));
            ssh_key_free(key);
            result = -1;
        }
    }
    return result;
}

int keys_agent_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    int saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

int keys_check(const struct proxy_config *config)
{
    int result = check_readable(config, "authorized_keys", config->authorized_keys, O_DIRECTORY);
    for (size_t i = 0; i < config->socket_count; i++) {
        const struct socket_config *socket = &config->sockets[i];
        char option[CONFIG_MAX_SOCKET_NAME + 32];
        ssh_key key = NULL;
        snprintf(option, sizeof(option), "socket %s: identity", socket->name);
        if (socket->identity_agent && keys_agent_answers(socket->identity_agent) < 0)
            log_warning("%s: %s_agent: %s: %m", config->path, option, socket->identity_agent);
        if (socket->identity && load_private(config, option, socket->identity, &key) < 0)
            result = -1;
        ssh_key_free(key);
        snprintf(option, sizeof(option), "socket %s: known_hosts", socket->name);
        if (check_readable(config, option, socket->known_hosts, 0) < 0)
            result = -1;
    }
    return result;
}

void keys_fingerprint(char fingerprint[KEYS_FINGERPRINT_SIZE], ssh_key key)
{
    unsigned char *hash = NULL;
    size_t length = 0;
    char *text = NULL;
    fingerprint[0] = '\0';
    if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &length) == SSH_OK)
        text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, length);
    if (text)
        snprintf(fingerprint, KEYS_FINGERPRINT_SIZE, "%s", text);
    ssh_string_free_char(text);
    ssh_clean_pubkey_hash(&hash);
}
