#include "hooks/proxy/config.h"

#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks/proxy/log.h"

/* libconfuse overwrites a value that is given twice; these count, so that it is an error. It calls
 * back without a pointer of ours, hence the file's scope; one file is read at a time. */
#define MAX_SEEN 32
static const cfg_opt_t *seen[MAX_SEEN];
static size_t seen_count;

/* Some errors of syntax the parser does not report; then we do. */
static int reported;

static void report(cfg_t *cfg, const char *format, va_list arguments)
{
    char text[1024];
    reported = 1;
    vsnprintf(text, sizeof(text), format, arguments);
    log_error("%s:%d: %s", cfg->filename, cfg->line, text);
}

static int is_first(cfg_t *cfg, cfg_opt_t *option)
{
    for (size_t i = 0; i < seen_count; i++)
        if (seen[i] == option) {
            cfg_error(cfg, "%s: given twice", option->name);
            return -1;
        }
    if (seen_count < MAX_SEEN)
        seen[seen_count++] = option;
    return 0;
}

static int check_text(cfg_t *cfg, const char *name, const char *value)
{
    if (!value || !*value) {
        cfg_error(cfg, "%s: must not be empty", name);
        return -1;
    }
    for (const unsigned char *p = (const unsigned char *)value; *p; p++)
        if (*p < 0x20 || *p == 0x7f) {
            cfg_error(cfg, "%s: has a control character", name);
            return -1;
        }
    return 0;
}

static int validate_string(cfg_t *cfg, cfg_opt_t *option)
{
    if (is_first(cfg, option) < 0)
        return -1;
    return check_text(cfg, option->name, cfg_opt_getnstr(option, 0));
}

static int validate_log_format(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = cfg_opt_getnstr(option, 0);
    if (validate_string(cfg, option) < 0)
        return -1;
    if (strcmp(value, "text") == 0 || strcmp(value, "json") == 0)
        return 0;
    cfg_error(cfg, "log_format: \"%s\" is neither text nor json", value);
    return -1;
}

static int validate_upstream_user(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = cfg_opt_getnstr(option, 0);
    if (is_first(cfg, option) < 0)
        return -1;
    return value && *value ? check_text(cfg, option->name, value) : 0;
}

static int validate_from(cfg_t *cfg, cfg_opt_t *option, long lowest)
{
    if (is_first(cfg, option) < 0)
        return -1;
    long value = cfg_opt_getnint(option, 0);
    if (value < lowest || value > 100000) {
        cfg_error(cfg, "%s: must be from %ld to 100000, not %ld", option->name, lowest, value);
        return -1;
    }
    return 0;
}

static int validate_agent(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = cfg_opt_getnstr(option, 0);
    if (validate_string(cfg, option) < 0)
        return -1;
    if (value[0] == '/' && strlen(value) <= CONFIG_MAX_AGENT)
        return 0;
    cfg_error(cfg, "identity_agent: must be an absolute path of at most %d bytes",
              CONFIG_MAX_AGENT);
    return -1;
}

static int validate_number(cfg_t *cfg, cfg_opt_t *option)
{
    return validate_from(cfg, option, 1);
}

static int validate_number_or_none(cfg_t *cfg, cfg_opt_t *option)
{
    return validate_from(cfg, option, 0);
}

static int validate_upstream(cfg_t *cfg, cfg_opt_t *option)
{
    struct address address;
    if (validate_string(cfg, option) < 0)
        return -1;
    if (address_parse(&address, cfg_opt_getnstr(option, 0), 1) < 0) {
        cfg_error(cfg, "upstream: \"%s\" is not host:port", cfg_opt_getnstr(option, 0));
        return -1;
    }
    return 0;
}

/* Called for each value of a list, before it is stored. */
static int take_list_value(cfg_t *cfg, cfg_opt_t *option, const char *value, void *result)
{
    if (cfg_opt_size(option) <= 1 && is_first(cfg, option) < 0)
        return -1;
    if (check_text(cfg, option->name, value) < 0)
        return -1;
    struct address address;
    if (strcmp(option->name, "listen") == 0 && address_parse(&address, value, 0) < 0) {
        cfg_error(cfg, "listen: \"%s\" is not address:port", value);
        return -1;
    }
    if (strcmp(option->name, "permit_open") == 0 && !config_is_destination(value)) {
        cfg_error(cfg, "permit_open: \"%s\" is not host:port (either may be *)", value);
        return -1;
    }
    *(const char **)result = value;
    return 0;
}

static int require(cfg_t *cfg, cfg_t *section, const char *key)
{
    if (cfg_getstr(section, key))
        return 0;
    if (section == cfg)
        cfg_error(cfg, "%s: missing", key);
    else
        cfg_error(cfg, "socket %s: %s: missing", cfg_title(section), key);
    return -1;
}

static int validate_socket(cfg_t *cfg, cfg_opt_t *option)
{
    cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    const char *name = cfg_title(section);
    /* The next section's options may get the addresses of a list that was counted. */
    seen_count = 0;
    for (int i = 0; i < cfg_numopts(cfg->opts) && seen_count < MAX_SEEN; i++)
        if (cfg->opts[i].flags & CFGF_MODIFIED)
            seen[seen_count++] = &cfg->opts[i];
    if (check_text(cfg, "socket", name) < 0)
        return -1;
    if (strlen(name) > CONFIG_MAX_SOCKET_NAME) {
        cfg_error(cfg, "socket %s: the name has more than %d bytes", name, CONFIG_MAX_SOCKET_NAME);
        return -1;
    }
    bool agent = cfg_getstr(section, "identity_agent") != NULL;
    if (agent && cfg_getstr(section, "identity")) {
        cfg_error(cfg, "socket %s: identity_agent: not beside identity", name);
        return -1;
    }
    bool needs_identity = !agent && !cfg_getbool(section, "interactive_login");
    return require(cfg, section, "upstream") ||
                   (needs_identity && require(cfg, section, "identity")) ||
                   require(cfg, section, "known_hosts")
               ? -1
               : 0;
}

static cfg_t *new_parser(void)
{
    cfg_opt_t socket_options[] = {
        CFG_STR("upstream", NULL, CFGF_NODEFAULT),
        CFG_STR("upstream_user", "", CFGF_NONE),
        CFG_STR("identity", NULL, CFGF_NODEFAULT),
        CFG_STR("identity_agent", NULL, CFGF_NODEFAULT),
        CFG_STR("known_hosts", NULL, CFGF_NODEFAULT),
        CFG_BOOL("interactive_login", cfg_false, CFGF_NONE),
        CFG_BOOL("local_forwarding", cfg_false, CFGF_NONE),
        CFG_STR_LIST_CB("permit_open", NULL, CFGF_NODEFAULT, take_list_value),
        CFG_BOOL("remote_forwarding", cfg_false, CFGF_NONE),
        CFG_BOOL("x11_forwarding", cfg_false, CFGF_NONE),
        CFG_BOOL("agent_forwarding", cfg_false, CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t options[] = {
        CFG_STR_LIST_CB("listen", NULL, CFGF_NODEFAULT, take_list_value),
        CFG_STR_LIST_CB("host_key", NULL, CFGF_NODEFAULT, take_list_value),
        CFG_STR("authorized_keys", NULL, CFGF_NODEFAULT),
        CFG_STR("recording_plugin", NULL, CFGF_NODEFAULT),
        CFG_STR("recording_settings", NULL, CFGF_NODEFAULT),
        CFG_STR("user", NULL, CFGF_NODEFAULT),
        CFG_INT("login_grace_time", 60, CFGF_NONE),
        CFG_INT("max_auth_tries", 20, CFGF_NONE),
        CFG_INT("max_unauthenticated", 32, CFGF_NONE),
        CFG_INT("max_unauthenticated_per_source", 16, CFGF_NONE),
        CFG_INT("max_connections", 512, CFGF_NONE),
        CFG_INT("max_connections_per_user", 64, CFGF_NONE),
        CFG_INT("max_channels", 64, CFGF_NONE),
        CFG_INT("keepalive_interval", 30, CFGF_NONE),
        CFG_INT("keepalive_count", 4, CFGF_NONE),
        CFG_INT("drain_time", 0, CFGF_NONE),
        CFG_STR("log_format", "text", CFGF_NONE),
        CFG_SEC("socket", socket_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    static const struct {
        const char *key;
        cfg_validate_callback_t check;
    } checks[] = {
        {"authorized_keys", validate_string},
        {"recording_plugin", validate_string},
        {"recording_settings", validate_string},
        {"user", validate_string},
        {"login_grace_time", validate_number},
        {"max_unauthenticated", validate_number},
        {"max_connections", validate_number},
        {"max_auth_tries", validate_number},
        {"max_unauthenticated_per_source", validate_number},
        {"max_connections_per_user", validate_number},
        {"max_channels", validate_number},
        {"keepalive_interval", validate_number_or_none},
        {"keepalive_count", validate_number},
        {"drain_time", validate_number_or_none},
        {"log_format", validate_log_format},
        {"socket", validate_socket},
        {"socket|upstream", validate_upstream},
        {"socket|upstream_user", validate_upstream_user},
        {"socket|identity", validate_string},
        {"socket|identity_agent", validate_agent},
        {"socket|known_hosts", validate_string},
        {"socket|interactive_login", is_first},
        {"socket|local_forwarding", is_first},
        {"socket|remote_forwarding", is_first},
        {"socket|x11_forwarding", is_first},
        {"socket|agent_forwarding", is_first},
    };
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    if (!cfg)
        return NULL;
    cfg_set_error_function(cfg, report);
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
        cfg_set_validate_func(cfg, checks[i].key, checks[i].check);
    return cfg;
}

/* The array is the configuration's, its strings are the parser's. */
static int take_list(cfg_t *section, const char *key, const char ***list, size_t *count)
{
    *count = cfg_size(section, key);
    *list = calloc(*count + 1, sizeof(**list));
    for (unsigned i = 0; *list && i < *count; i++)
        (*list)[i] = cfg_getnstr(section, key, i);
    return *list ? 0 : -1;
}

static int fill_in(struct proxy_config *config, cfg_t *cfg)
{
    config->listen_count = cfg_size(cfg, "listen");
    config->host_key_count = cfg_size(cfg, "host_key");
    config->socket_count = cfg_size(cfg, "socket");
    config->listen = calloc(config->listen_count + 1, sizeof(*config->listen));
    config->host_keys = calloc(config->host_key_count + 1, sizeof(*config->host_keys));
    config->sockets = calloc(config->socket_count + 1, sizeof(*config->sockets));
    if (!config->listen || !config->host_keys || !config->sockets) {
        log_error("%s: out of memory", config->path);
        return -1;
    }
    for (unsigned i = 0; i < config->listen_count; i++)
        if (address_parse(&config->listen[i], cfg_getnstr(cfg, "listen", i), 0) < 0)
            return -1;
    for (unsigned i = 0; i < config->host_key_count; i++)
        config->host_keys[i] = cfg_getnstr(cfg, "host_key", i);
    config->authorized_keys = cfg_getstr(cfg, "authorized_keys");
    config->plugin = cfg_getstr(cfg, "recording_plugin");
    config->settings = cfg_getstr(cfg, "recording_settings");
    config->user = cfg_getstr(cfg, "user");
    config->login_grace_time = (int)cfg_getint(cfg, "login_grace_time");
    config->max_auth_tries = (int)cfg_getint(cfg, "max_auth_tries");
    config->max_unauthenticated = (int)cfg_getint(cfg, "max_unauthenticated");
    config->max_unauthenticated_per_source = (int)cfg_getint(cfg, "max_unauthenticated_per_source");
    config->max_connections = (int)cfg_getint(cfg, "max_connections");
    config->max_connections_per_user = (int)cfg_getint(cfg, "max_connections_per_user");
    config->max_channels = (int)cfg_getint(cfg, "max_channels");
    config->keepalive_interval = (int)cfg_getint(cfg, "keepalive_interval");
    config->keepalive_count = (int)cfg_getint(cfg, "keepalive_count");
    config->drain_time = (int)cfg_getint(cfg, "drain_time");
    config->log_json = strcmp(cfg_getstr(cfg, "log_format"), "json") == 0;
    for (unsigned i = 0; i < config->socket_count; i++) {
        cfg_t *section = cfg_getnsec(cfg, "socket", i);
        struct socket_config *one = &config->sockets[i];
        one->name = cfg_title(section);
        one->upstream = cfg_getstr(section, "upstream");
        one->upstream_user = cfg_getstr(section, "upstream_user");
        one->identity = cfg_getstr(section, "identity");
        one->identity_agent = cfg_getstr(section, "identity_agent");
        one->known_hosts = cfg_getstr(section, "known_hosts");
        one->interactive_login = cfg_getbool(section, "interactive_login");
        one->local_forwarding = cfg_getbool(section, "local_forwarding");
        one->remote_forwarding = cfg_getbool(section, "remote_forwarding");
        one->x11_forwarding = cfg_getbool(section, "x11_forwarding");
        one->agent_forwarding = cfg_getbool(section, "agent_forwarding");
        if (take_list(section, "permit_open", &one->permit_open, &one->permit_open_count) < 0) {
            log_error("%s: out of memory", config->path);
            return -1;
        }
        if (address_parse(&one->address, one->upstream, 1) < 0)
            return -1;
    }
    return 0;
}

int config_read(const char *path, int fd, struct proxy_config *config)
{
    int result = -1;
    cfg_t *cfg = NULL;
    *config = (struct proxy_config){.path = path};
    FILE *file = fdopen(fd, "r");
    if (!file) {
        log_error("%s: cannot be read: %m", path);
        close(fd);
        return -1;
    }
    cfg = new_parser();
    if (!cfg || !(cfg->filename = strdup(path))) {
        log_error("%s: out of memory", path);
        goto out;
    }
    config->parsed = cfg;
    seen_count = 0;
    reported = 0;
    if (cfg_parse_fp(cfg, file) != CFG_SUCCESS) {
        if (!reported)
            log_error("%s:%d: syntax error at or before this line", path, cfg->line);
        goto out;
    }
    if (cfg_size(cfg, "listen") == 0) {
        cfg_error(cfg, "listen: missing");
        goto out;
    }
    if (cfg_size(cfg, "host_key") == 0) {
        cfg_error(cfg, "host_key: missing");
        goto out;
    }
    if (require(cfg, cfg, "authorized_keys") < 0 || require(cfg, cfg, "recording_plugin") < 0)
        goto out;
    if (cfg_size(cfg, "socket") == 0) {
        cfg_error(cfg, "socket: there is no socket section, so nobody could go anywhere");
        goto out;
    }
    result = fill_in(config, cfg);
out:
    fclose(file);
    if (result < 0)
        config_free(config);
    return result;
}

void config_free(struct proxy_config *config)
{
    for (size_t i = 0; config->sockets && i < config->socket_count; i++)
        free(config->sockets[i].permit_open);
    free(config->listen);
    free(config->host_keys);
    free(config->sockets);
    if (config->parsed)
        cfg_free(config->parsed);
    *config = (struct proxy_config){0};
}

const struct socket_config *config_socket(const struct proxy_config *config, const char *name)
{
    for (size_t i = 0; i < config->socket_count; i++)
        if (strcmp(config->sockets[i].name, name) == 0)
            return &config->sockets[i];
    return NULL;
}
