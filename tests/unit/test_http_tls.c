/* HTTPS: whom the pool trusts, and which versions it speaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "recorder/aws/http.h"

/* A server that answers each connection's one request with "secure". */
struct fixture {
    int fd, stop[2];
    pthread_t thread;
    SSL_CTX *tls;
    X509 *certificate;
    EVP_PKEY *key;
    char url[64], ca_file[256];
    struct error error;
};

static void *serve(void *context)
{
    struct fixture *f = context;
    for (;;) {
        struct pollfd wanted[] = {{.fd = f->stop[0], .events = POLLIN},
                                  {.fd = f->fd, .events = POLLIN}};
        char request[4096];
        poll(wanted, 2, -1);
        if (wanted[0].revents)
            return NULL;
        int fd = accept(f->fd, NULL, NULL);
        SSL *ssl = SSL_new(f->tls);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof(request)) > 0) {
            const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n"
                                 "Connection: close\r\n\r\nsecure";
            SSL_write(ssl, answer, (int)strlen(answer));
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        close(fd);
    }
}

static void make_certificate(struct fixture *f, const char *subject)
{
    X509V3_CTX context;
    f->key = EVP_EC_gen("P-256");
    f->certificate = X509_new();
    assert_non_null(f->certificate);
    X509_set_version(f->certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(f->certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(f->certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(f->certificate), 3600);
    X509_set_pubkey(f->certificate, f->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(f->certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"castbucket test", -1, -1, 0);
    X509_set_issuer_name(f->certificate, X509_get_subject_name(f->certificate));
    X509V3_set_ctx(&context, f->certificate, f->certificate, NULL, NULL, 0);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, subject);
    assert_non_null(names);
    X509_add_ext(f->certificate, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(f->certificate, f->key, EVP_sha256()) > 0);
}

static int start(void **state, const char *subject, int version)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct fixture *f = calloc(1, sizeof(*f));
    const char *folder = getenv("TMPDIR");
    assert_non_null(f);
    make_certificate(f, subject);
    f->tls = SSL_CTX_new(TLS_server_method());
    /* Otherwise OpenSSL itself would not offer what the client is to refuse. */
    SSL_CTX_set_security_level(f->tls, 0);
    SSL_CTX_set_min_proto_version(f->tls, version);
    SSL_CTX_set_max_proto_version(f->tls, version);
    SSL_CTX_use_certificate(f->tls, f->certificate);
    SSL_CTX_use_PrivateKey(f->tls, f->key);

    snprintf(f->ca_file, sizeof(f->ca_file), "%s/castbucket-test-XXXXXX", folder ? folder : "/tmp");
    int ca = mkstemp(f->ca_file);
    assert_true(ca >= 0);
    FILE *file = fdopen(ca, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, f->certificate), 1);
    fclose(file);

    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (const struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(f->fd, 8), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&address, &length), 0);
    snprintf(f->url, sizeof(f->url), "https://127.0.0.1:%d/", ntohs(address.sin_port));
    assert_int_equal(pipe(f->stop), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
    *state = f;
    return 0;
}

static int start_good(void **state)
{
    return start(state, "IP:127.0.0.1", TLS1_2_VERSION);
}

static int start_for_another_name(void **state)
{
    return start(state, "DNS:elsewhere.example", TLS1_3_VERSION);
}

static int start_old(void **state)
{
    return start(state, "IP:127.0.0.1", TLS1_1_VERSION);
}

static int stop(void **state)
{
    struct fixture *f = *state;
    close(f->stop[1]);
    pthread_join(f->thread, NULL);
    close(f->stop[0]);
    close(f->fd);
    unlink(f->ca_file);
    SSL_CTX_free(f->tls);
    X509_free(f->certificate);
    EVP_PKEY_free(f->key);
    free(f);
    return 0;
}

/* One GET by a client of its own, which trusts `ca_file`. */
static int get(struct fixture *f, const char *ca_file, char body[16])
{
    const struct http_options options = {.ca_file = ca_file};
    const struct http_request request = {.method = "GET", .url = f->url};
    struct http_response response = HTTP_RESPONSE_INIT;
    struct http_client *client;
    f->error = ERROR_INIT;
    assert_int_equal(http_client_new(&options, &client, NULL), 0);
    int rc = http_perform(client, &request, &response, &f->error);
    snprintf(body, 16, "%s", response.body.data ? response.body.data : "");
    http_response_free(&response);
    http_client_free(client);
    return rc;
}

static void a_trusted_authority_is_enough(void **state)
{
    struct fixture *f = *state;
    char body[16];
    assert_int_equal(get(f, f->ca_file, body), 0);
    assert_string_equal(body, "secure");
    setenv("AWS_CA_BUNDLE", f->ca_file, 1);
    int rc = get(f, NULL, body);
    unsetenv("AWS_CA_BUNDLE");
    assert_int_equal(rc, 0);
    assert_string_equal(body, "secure");
}

static void an_unknown_authority_is_refused_and_the_way_out_told(void **state)
{
    struct fixture *f = *state;
    char body[16];
    unsetenv("AWS_CA_BUNDLE");
    assert_int_equal(get(f, NULL, body), ERR_DENIED);
    assert_non_null(strstr(f->error.text, "AWS_CA_BUNDLE"));
    assert_string_equal(body, "");
    assert_int_equal(get(f, "/nonexistent/ca.pem", body), ERR_DENIED);
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    struct fixture *f = *state;
    char body[16];
    assert_int_equal(get(f, f->ca_file, body), ERR_DENIED);
    assert_non_null(strstr(f->error.text, "127.0.0.1"));
}

static void tls_older_than_1_2_is_not_spoken(void **state)
{
    struct fixture *f = *state;
    char body[16];
    assert_int_equal(get(f, f->ca_file, body), ERR_RETRY);
    assert_string_equal(body, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_trusted_authority_is_enough, start_good, stop),
        cmocka_unit_test_setup_teardown(an_unknown_authority_is_refused_and_the_way_out_told,
                                        start_good, stop),
        cmocka_unit_test_setup_teardown(a_certificate_for_another_name_is_refused,
                                        start_for_another_name, stop),
        cmocka_unit_test_setup_teardown(tls_older_than_1_2_is_not_spoken, start_old, stop),
    };
    /* The server's side writes to connections that clients have given up. */
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("http_tls", tests, NULL, NULL);
}
