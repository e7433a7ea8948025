/* Signature Version 4 against published signatures and against an independent implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/aws/digest.h"
#include "recorder/aws/sigv4_canonical.h"
#include "recorder/base/base64.h"
#include "recorder/base/clock.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"

static const struct aws_credentials example = {
    .access_key_id = "AKIDEXAMPLE",
    .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};

static int64_t time_of(const char *text)
{
    int64_t ns;
    assert_true(text_parse_time(text, &ns));
    return ns;
}

static size_t count_pairs(const struct sigv4_pair *pairs, size_t most)
{
    size_t count = 0;
    while (count < most && pairs[count].name)
        count++;
    return count;
}

static void assert_ends_with(const struct buffer *text, const char *end)
{
    assert_true(text->length >= strlen(end));
    assert_string_equal(text->data + text->length - strlen(end), end);
}

/* AWS's published SigV4 test suite: what is asked, and the signature of the header form and of the
 * query form (3600 s). All at 2015-08-30T12:36:00Z for us-east-1/service by `example`. Paths are
 * given there as they are sent, so they are encoded once here. */
struct published {
    const char *name, *method, *path;
    bool normalize;
    struct sigv4_pair query[4], headers[5];
    const char *body, *token;
    const char *header, *query_form;
};

/* clang-format off */
static const struct published suite[] = {
    {.name = "get-header-key-duplicate", .method = "GET", .path = "/", .normalize = true, .headers = {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}, .header = "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea", .query_form = "3349ee0b81b4b589da0ff28a395c3591e04de515651dd74f298fa992d1507a97"},
    {.name = "get-header-value-multiline", .method = "GET", .path = "/", .normalize = true, .headers = {{"My-Header1", "value1\n  value2\n     value3"}}, .header = "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd", .query_form = "e6f5def831211aca02987a44b96826706278c7bc078112ae0263659c5b2f2d56"},
    {.name = "get-header-value-order", .method = "GET", .path = "/", .normalize = true, .headers = {{"My-Header1", "value4"}, {"My-Header1", "value1"}, {"My-Header1", "value3"}, {"My-Header1", "value2"}}, .header = "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01", .query_form = "313720e71ca6202fdcfa9b20f88de01a4eb0638a83c833b1c184359a4eda864e"},
    {.name = "get-header-value-trim", .method = "GET", .path = "/", .normalize = true, .headers = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}, .header = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736", .query_form = "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4"},
    {.name = "get-relative-normalized", .method = "GET", .path = "/example/..", .normalize = true, .header = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", .query_form = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
    {.name = "get-relative-relative-normalized", .method = "GET", .path = "/example1/example2/../..", .normalize = true, .header = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", .query_form = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
    {.name = "get-relative-relative-unnormalized", .method = "GET", .path = "/example1/example2/../..", .header = "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b", .query_form = "b45db0bfd1cf15003493b733e33aa208dd981bd0e63037a6ed953f71d2118a16"},
    {.name = "get-relative-unnormalized", .method = "GET", .path = "/example/..", .header = "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282", .query_form = "cbcb213b928a077e43275df47b500f1dfaa864ab3f5a18f6b95f4ff0938167ee"},
    {.name = "get-slash-dot-slash-normalized", .method = "GET", .path = "/./", .normalize = true, .header = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", .query_form = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
    {.name = "get-slash-dot-slash-unnormalized", .method = "GET", .path = "/./", .header = "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145", .query_form = "a9b13e8f3484d9505bf1a6f347219f8f35b0fe8f128ceea597efc146a3dfe90c"},
    {.name = "get-slash-normalized", .method = "GET", .path = "//", .normalize = true, .header = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", .query_form = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
    {.name = "get-slash-pointless-dot-normalized", .method = "GET", .path = "/./example", .normalize = true, .header = "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5", .query_form = "35034b1a0bdd969f346975386daf8aedfd4976573b8348cf4f67eaa41c5857de"},
    {.name = "get-slash-pointless-dot-unnormalized", .method = "GET", .path = "/./example", .header = "beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff", .query_form = "72b11f16d9530b18204bfb71f2d6ab085894c0ed8d352730a6e76234c58b5e10"},
    {.name = "get-slash-unnormalized", .method = "GET", .path = "//", .header = "c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e", .query_form = "b2a9542809db687769200f56a844a03f2bd0291d6eb90232d5101c6a579446cd"},
    {.name = "get-slashes-normalized", .method = "GET", .path = "//example//", .normalize = true, .header = "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84", .query_form = "c1834e8fb0307243711f0f907f6ab7311ed300d87f13792d7ee4da89ab93e082"},
    {.name = "get-slashes-unnormalized", .method = "GET", .path = "//example//", .header = "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5", .query_form = "822a5a9ba28072c5ab2bb4a6307d0c88276d40e49fec6b724c03fb4d4ba60fc2"},
    {.name = "get-space-normalized", .method = "GET", .path = "/example space/", .normalize = true, .header = "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741", .query_form = "7a1f416954786484c9824d93c1f26ef64acb9b1b6c9154d08c9f07d0e394abf6"},
    {.name = "get-space-unnormalized", .method = "GET", .path = "/example space/", .header = "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741", .query_form = "7a1f416954786484c9824d93c1f26ef64acb9b1b6c9154d08c9f07d0e394abf6"},
    {.name = "get-unreserved", .method = "GET", .path = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", .normalize = true, .header = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f", .query_form = "95968482db1b9e0fadef6efc1bd24689f77c77d9ef56919c96a28cc92e0d6005"},
    {.name = "get-utf8", .method = "GET", .path = "/ሴ", .normalize = true, .header = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85", .query_form = "10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44"},
    {.name = "get-vanilla-empty-query-key", .method = "GET", .path = "/", .normalize = true, .query = {{"Param1", "value1"}}, .header = "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb", .query_form = "49096700cbbaa5753443850f40df10f904fc2fdb544dc9512203cc77c471a9de"},
    {.name = "get-vanilla-query-order-encoded", .method = "GET", .path = "/", .normalize = true, .query = {{"Param-3", "Value3"}, {"Param", "Value2"}, {"ሴ", "Value1"}}, .header = "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac", .query_form = "c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787"},
    {.name = "get-vanilla-query-order-key-case", .method = "GET", .path = "/", .normalize = true, .query = {{"Param2", "value2"}, {"Param1", "value1"}}, .header = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", .query_form = "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5"},
    {.name = "get-vanilla-query-unreserved", .method = "GET", .path = "/", .normalize = true, .query = {{"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}}, .header = "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197", .query_form = "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf"},
    {.name = "get-vanilla-query", .method = "GET", .path = "/", .normalize = true, .header = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", .query_form = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
    {.name = "get-vanilla-utf8-query", .method = "GET", .path = "/", .normalize = true, .query = {{"ሴ", "bar"}}, .header = "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04", .query_form = "0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600"},
    {.name = "get-vanilla-with-session-token", .method = "GET", .path = "/", .normalize = true, .token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267", .header = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8", .query_form = "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c"},
    {.name = "get-vanilla", .method = "GET", .path = "/", .normalize = true, .header = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", .query_form = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
    {.name = "post-header-key-case", .method = "POST", .path = "/", .normalize = true, .header = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", .query_form = "2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b"},
    {.name = "post-header-key-sort", .method = "POST", .path = "/", .normalize = true, .headers = {{"My-Header1", "value1"}}, .header = "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c", .query_form = "c09d07e0d55871f10f2a6d350d994acf6825a3cae70673d7def55616e6119dd7"},
    {.name = "post-header-value-case", .method = "POST", .path = "/", .normalize = true, .headers = {{"My-Header1", "VALUE1"}}, .header = "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d", .query_form = "0698bc9e4f7f9139065ba2909c0e99da257e8e2a42492a097bcd46d792391fed"},
    {.name = "post-sts-header-after", .method = "POST", .path = "/", .normalize = true, .header = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", .query_form = "2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b"},
    {.name = "post-sts-header-before", .method = "POST", .path = "/", .normalize = true, .token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==", .header = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead", .query_form = "46c2e3c63c1dbe7d39f8ada16fe7f001c1f56c5791441565323677f96308871c"},
    {.name = "post-vanilla-empty-query-value", .method = "POST", .path = "/", .normalize = true, .query = {{"Param1", "value1"}}, .header = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11", .query_form = "a9ef26247f293bffe40eeff86a0480ba8c14d31503b2e0c3399e3a16bf1a3682"},
    {.name = "post-vanilla-query", .method = "POST", .path = "/", .normalize = true, .query = {{"Param1", "value1"}}, .header = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11", .query_form = "a9ef26247f293bffe40eeff86a0480ba8c14d31503b2e0c3399e3a16bf1a3682"},
    {.name = "post-vanilla", .method = "POST", .path = "/", .normalize = true, .header = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", .query_form = "2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b"},
    {.name = "post-x-www-form-urlencoded-parameters", .method = "POST", .path = "/", .normalize = true, .headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}, {"Content-Length", "13"}}, .body = "Param1=value1", .header = "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422", .query_form = "0dbeb9b026c7b6675f266b8427efec9b4fa8b1f6ef1477d717aea231106eab4d"},
    {.name = "post-x-www-form-urlencoded", .method = "POST", .path = "/", .normalize = true, .headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Length", "13"}}, .body = "Param1=value1", .header = "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b", .query_form = "89a40deed0f26f9461242825a082d2222717248abc7ab41f552ad84a94ad46e9"},
};
/* clang-format on */

static void published_cases_are_signed_as_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(suite) / sizeof(suite[0]); i++) {
        const struct published *one = &suite[i];
        uint8_t hash[SHA256_SIZE];
        char payload[65];
        const char *body = one->body ? one->body : "";
        assert_int_equal(sha256(body, strlen(body), hash), 0);
        text_hex(payload, hash, sizeof(hash));
        struct aws_credentials credentials = example;
        if (one->token)
            snprintf(credentials.session_token, sizeof(credentials.session_token), "%s",
                     one->token);
        const struct sigv4_request request = {
            .method = one->method,
            .host = "example.amazonaws.com",
            .path = one->path,
            .query = one->query,
            .query_count = count_pairs(one->query, 4),
            .headers = one->headers,
            .header_count = count_pairs(one->headers, 5),
            .payload_sha256 = payload,
            .region = "us-east-1",
            .service = "service",
            .time_ns = time_of("2015-08-30T12:36:00Z"),
        };
        const struct sigv4_style style = {.normalize_path = one->normalize,
                                          .content_header = one->body != NULL};
        struct buffer target = BUFFER_INIT(65536), headers = BUFFER_INIT(65536);
        char end[128];
        print_message("%s\n", one->name);
        assert_int_equal(sigv4_sign_styled(&request, &style, &credentials, &target, &headers, NULL),
                         0);
        snprintf(end, sizeof(end), "Signature=%s\n", one->header);
        assert_ends_with(&headers, end);
        buffer_clear(&target);
        assert_int_equal(sigv4_presign_styled(&request, &style, &credentials, 3600, &target, NULL),
                         0);
        snprintf(end, sizeof(end), "&X-Amz-Signature=%s", one->query_form);
        assert_ends_with(&target, end);
        buffer_free(&target);
        buffer_free(&headers);
    }
}

/* The examples of "Authenticating Requests (AWS Signature Version 4)" in the S3 API reference. */
struct documented {
    const char *method, *path;
    struct sigv4_pair query[2], headers[2];
    const char *body, *target, *signature;
};

static const struct documented documented[] = {
    {.method = "GET",
     .path = "/test.txt",
     .headers = {{"Range", "bytes=0-9"}},
     .target = "/test.txt",
     .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {.method = "PUT",
     .path = "/test$file.text",
     .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                 {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
     .body = "Welcome to Amazon S3.",
     .target = "/test%24file.text",
     .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {.method = "GET",
     .path = "/",
     .query = {{"lifecycle", ""}},
     .target = "/?lifecycle=",
     .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {.method = "GET",
     .path = "/",
     .query = {{"prefix", "J"}, {"max-keys", "2"}},
     .target = "/?max-keys=2&prefix=J",
     .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static struct sigv4_request s3_request(const char *method, const char *path)
{
    return (struct sigv4_request){.method = method,
                                  .host = "examplebucket.s3.amazonaws.com",
                                  .path = path,
                                  .payload_sha256 = SHA256_OF_NOTHING,
                                  .region = "us-east-1",
                                  .service = "s3",
                                  .s3 = true,
                                  .time_ns = time_of("2013-05-24T00:00:00Z")};
}

static const struct aws_credentials s3_example = {
    .access_key_id = "AKIAIOSFODNN7EXAMPLE",
    .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

static void the_s3_manuals_examples_are_signed_as_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++) {
        const struct documented *one = &documented[i];
        const char *body = one->body ? one->body : "";
        uint8_t hash[SHA256_SIZE];
        char payload[65], end[128];
        assert_int_equal(sha256(body, strlen(body), hash), 0);
        text_hex(payload, hash, sizeof(hash));
        struct sigv4_request request = s3_request(one->method, one->path);
        request.query = one->query;
        request.query_count = count_pairs(one->query, 2);
        request.headers = one->headers;
        request.header_count = count_pairs(one->headers, 2);
        request.payload_sha256 = payload;
        struct buffer target = BUFFER_INIT(4096), headers = BUFFER_INIT(4096);
        assert_int_equal(sigv4_sign(&request, &s3_example, &target, &headers, NULL), 0);
        assert_string_equal(target.data, one->target);
        snprintf(end, sizeof(end), "Signature=%s\n", one->signature);
        assert_ends_with(&headers, end);
        buffer_free(&target);
        buffer_free(&headers);
    }
}

static void the_s3_manuals_presigned_url_is_the_printed_one(void **state)
{
    (void)state;
    struct sigv4_request request = s3_request("GET", "/test.txt");
    request.payload_sha256 = "UNSIGNED-PAYLOAD";
    struct buffer target = BUFFER_INIT(4096);
    assert_int_equal(sigv4_presign(&request, &s3_example, 86400, &target, NULL), 0);
    assert_string_equal(
        target.data,
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    buffer_free(&target);
}

/* What the manual has no example of. The expected values were computed once with botocore 1.29.27
 * (S3SigV4Auth, S3SigV4QueryAuth with 900 s, SigV4Auth), which shares no code with this. */
static const struct aws_credentials temporary = {
    .access_key_id = "AKIDEXAMPLE",
    .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    .session_token = "token+/=&"};

static struct sigv4_request oracle_request(const char *method, const char *path)
{
    return (struct sigv4_request){.method = method,
                                  .host = "bucket.s3.us-west-2.amazonaws.com",
                                  .path = path,
                                  .payload_sha256 = SHA256_OF_NOTHING,
                                  .region = "us-west-2",
                                  .service = "s3",
                                  .s3 = true,
                                  .time_ns = time_of("2026-11-23T20:22:01Z")};
}

/* clang-format off */
static const struct {
    const char *path, *target, *header, *query_form;
} hostile_keys[] = {
    {"/a b", "/a%20b", "966be2bdda7e45b21d79f10b6441e19be86f8080278d38fe80dc7af0ff6a7179", "0bfa37b3281528e0e9769ff3d81e0ccee0bc5b492934bdead8864c9c924f2d4e"},
    {"/a+b", "/a%2Bb", "f2f55cf5b2a203c46490f277252d05be4d523fc649e57029473a352cdcb9c630", "40817f8479be9f4b9eaeb449c5043d44bb7fd159263fd310e07e92f5e3f300c6"},
    {"/100%", "/100%25", "a5111f820e2b2a6105969c7f9ba331a8483070dee5d47480e195d921a0373102", "10b2e73ab2b2e1def969f68830edfd9a3a4ad5e6ad29fdfdaefae96b172d2d0e"},
    {"/%2e%2e", "/%252e%252e", "a365102b82fbe3f0f5f2e6d7a888c037787ad8de926f2127424b0402fec32846", "54afa7e027e2054cb2b79d009d8216125c95db6a23057310b0d70f3d4b247c66"},
    {"/~user", "/~user", "cfa715837651c812ddcb510f7a0cad2193582086ac66e6f841973e1ef549bb3b", "6e72580076aea8859b5e7da8c0992650b2308758e6c88be6879cd330ca6140f1"},
    {"/é/日本/😀", "/%C3%A9/%E6%97%A5%E6%9C%AC/%F0%9F%98%80", "9a5aab8f4c1122c8ebb35d3f3cbebaea2af34b4ec9a11e85f7af0d8ceec4f8a5", "6113bb4c50528eb50391d0ac5e0cafef60a1c68dc515e005f5e6183c3a3ec85e"},
    {"/a//b", "/a//b", "714b9d1d8e167df5df90928a1b0bab5bb32f250a4010c37e33615362f0b0682a", "cdd4b70473f4d62c62a87b8d3f71e80e5faeaa7cafb4bf611a6823cfc973897b"},
    {"//lead", "//lead", "fdf11a74303294b1e404f8750806289f3e607cea57880bb874e7ab074f1fed85", "f156462204a1f837a4e7f6bba6b1c504f0388d6f37fb20cf4ee7e33ba61d1d98"},
    {"/trail/", "/trail/", "74b467d97e580904b59a9580ec8b63c9fcb201bdcace3adede02509eb97e6da5", "b333dbeeb3becf96a505f4e78ae248e39a5723b5f65d8deabc2bcd6e00e07396"},
    {"/.", "/.", "90d7f5fc80712d1a4f3f87c38f5520552810bef19c10cba4b1dac243ae6eb25e", "821b9546652b351547b4f5758813e7447b999a2387de2b2eb94baf77a87901e1"},
    {"/..", "/..", "7ff5f404f17bf09fc4ec9d3471927a6f581d27e0534f3289c25a53d1c61bfcb0", "fdd914311a686ba02bbf6190ddcc8faba2ba0b772d97a57d84551d43a711c14d"},
    {"/a/../b", "/a/../b", "5a290fe72e1e853b1617fe7f6e4266df5c7108405f948de4ef5b93199993b44b", "de6a12438bae3d20ee1ba7ae574a5e386b7e7dc62d8ab01a689242176a58a5d2"},
    {"/./a", "/./a", "1050f9835fd4cf9119f0313edc6a7953817ffa357385a6537797679ed96cb2ec", "4ab633010e58897c84921b8351f76614233b1db7dd145cfa5672f30e3faa3f06"},
    {"/k=v", "/k%3Dv", "5d1966f2fd5cc36f5bca4c91af5405c5b9cd0c9ffe407741f6b14734ef9f554c", "f2c2fcf2d9d256071fdf50636f3d8a6467a7ebabdf161e83bcaa429f013be977"},
    {"/a&b", "/a%26b", "cdd19eeafa87864513653d486c17647f3a8ab5cfbde5dc4984cf21bb29238bb4", "ebde1f3b6e860dbb76a282b0d77e8bc683112c81797a18dde8e5e5b6d4932d48"},
    {"/who?", "/who%3F", "532f259a1efbe69fe1dc9926318a9ed1fa7bbaf4c46bb1a447c9a939bf8fc241", "4777059695d2f35104103093c8a641ba0b9ef7069b72850bb971edf5b4aa5f42"},
    {"/x#y", "/x%23y", "59a600aeea22397db7c67979f42aaa698f58d71773c165c8c11e61eb295b0a32", "6b86c005067b3f27dbfb549f0c63d73db915cac596eba9712963fb8dae67cb4c"},
    {"/q\"'<>\\^`{|}", "/q%22%27%3C%3E%5C%5E%60%7B%7C%7D", "810a98c9c9c291340a2c7060c4d7dff85050f3d06bd472f866d87da35f5a8451", "7673d9bb221e6b883e07228a1e208b838c819f599b649799c22681172232ace4"},
    {"/tab\x09""here", "/tab%09here", "fce4d0d5344693f60e86975320cc7864a15b9090bbc9544104dfa217ef01e005", "9c97e44f18cecdfa6d6c571ce2f0711cc64e621534f8622ad698288f73994dd0"},
    {"/new\nline", "/new%0Aline", "7946678e62ac17d39accd60a05bafadc81242d4b561edabd70be05fa8e703e9c", "ee4eec584106a5b3c3f0b3b8387de8340bfb648ef3aa25fd5ac0b62c8594422c"},
    {"/!*'()@:,;$[]", "/%21%2A%27%28%29%40%3A%2C%3B%24%5B%5D", "4434bcb803e16d88c7e324fbe2ab01bcc7d7107b0c5f6ad55159969cb72aa7a8", "2b87557862a500ad19e3dcf03a8cb5886938a4d11f7fc0619c874285ef777857"},
};
/* clang-format on */

static void hostile_keys_are_encoded_once_and_signed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hostile_keys) / sizeof(hostile_keys[0]); i++) {
        struct sigv4_request request = oracle_request("GET", hostile_keys[i].path);
        struct buffer target = BUFFER_INIT(4096), headers = BUFFER_INIT(4096);
        char end[128];
        assert_int_equal(sigv4_sign(&request, &temporary, &target, &headers, NULL), 0);
        assert_string_equal(target.data, hostile_keys[i].target);
        snprintf(end, sizeof(end), "Signature=%s\n", hostile_keys[i].header);
        assert_ends_with(&headers, end);
        buffer_clear(&target);
        request.payload_sha256 = "UNSIGNED-PAYLOAD";
        assert_int_equal(sigv4_presign(&request, &temporary, 900, &target, NULL), 0);
        snprintf(end, sizeof(end), "&X-Amz-Signature=%s", hostile_keys[i].query_form);
        assert_ends_with(&target, end);
        buffer_free(&target);
        buffer_free(&headers);
    }
}

static const struct {
    struct sigv4_pair query[5];
    const char *target, *signature;
} queries[] = {
    {{{"list-type", "2"},
      {"prefix", "org=a b/socket=é&x=1+2%"},
      {"delimiter", "/"},
      {"continuation-token", "1/+=="},
      {"encoding-type", "url"}},
     "/k?continuation-token=1%2F%2B%3D%3D&delimiter=%2F&encoding-type=url&list-type=2"
     "&prefix=org%3Da%20b%2Fsocket%3D%C3%A9%26x%3D1%2B2%25",
     "96e4f35c204b950bb1548bc87582315e3cee396200f40ce25d0278e067c9e26a"},
    {{{"uploadId", "2~a.b_c-d"}, {"partNumber", "10"}},
     "/k?partNumber=10&uploadId=2~a.b_c-d",
     "7ce22eaf1ba80d26bb5d0b3a96d3538084ab2197e0b1ec5ccdc96c725f5a62b1"},
    {{{"uploads", ""}},
     "/k?uploads=",
     "4b76c746a616808cd83c8f31013c81ebc38bb07018b7604904724a6cfbb8ef05"},
    {{{"a", "2"}, {"a", "1"}, {"A", "3"}, {"a-b", "4"}, {"a", ""}},
     "/k?A=3&a=&a=1&a=2&a-b=4",
     "634a0f39f880c946f8d1c90fedd028f919d12ca9a69433b553c6464b9c566607"},
};

static void queries_are_sorted_by_encoded_name_then_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct sigv4_request request = oracle_request("PUT", "/k");
        request.query = queries[i].query;
        request.query_count = count_pairs(queries[i].query, 5);
        struct buffer target = BUFFER_INIT(4096), headers = BUFFER_INIT(4096);
        char end[128];
        assert_int_equal(sigv4_sign(&request, &temporary, &target, &headers, NULL), 0);
        assert_string_equal(target.data, queries[i].target);
        snprintf(end, sizeof(end), "Signature=%s\n", queries[i].signature);
        assert_ends_with(&headers, end);
        buffer_free(&target);
        buffer_free(&headers);
    }
}

static const struct {
    const char *path, *target, *signature;
} general_paths[] = {
    {"/a b/%41/é", "/a%20b/%2541/%C3%A9",
     "326f6a981fc4999fee90afbb0ce3af0629894e2ab6fab3c3c880da08b9344198"},
    {"/a/./b/../c//d/", "/a/./b/../c//d/",
     "4b0a44a45f9cd94f76d3178a30e2a9a25c0c20d06afaaa25b01c921601a84cc7"},
    {"/", "/", "581e2b085b18e24fe628ef082e9b1084f796e3e91f7120e568d8f288cf4c4d8e"},
};

static void other_services_sign_the_path_normalized_and_encoded_twice(void **state)
{
    (void)state;
    const char *body = "Action=X";
    uint8_t hash[SHA256_SIZE];
    char payload[65];
    assert_int_equal(sha256(body, strlen(body), hash), 0);
    text_hex(payload, hash, sizeof(hash));
    for (size_t i = 0; i < sizeof(general_paths) / sizeof(general_paths[0]); i++) {
        struct sigv4_request request = oracle_request("POST", general_paths[i].path);
        request.host = "sts.us-west-2.amazonaws.com";
        request.service = "sts";
        request.s3 = false;
        request.payload_sha256 = payload;
        struct buffer target = BUFFER_INIT(4096), headers = BUFFER_INIT(4096);
        char end[128];
        assert_int_equal(sigv4_sign(&request, &temporary, &target, &headers, NULL), 0);
        assert_string_equal(target.data, general_paths[i].target);
        snprintf(end, sizeof(end), "Signature=%s\n", general_paths[i].signature);
        assert_ends_with(&headers, end);
        assert_null(strstr(headers.data, "x-amz-content-sha256"));
        buffer_free(&target);
        buffer_free(&headers);
    }
}

static void what_is_sent_is_what_was_signed(void **state)
{
    (void)state;
    struct sigv4_request request = s3_request("PUT", "/k");
    const struct sigv4_pair fields[] = {{"X-Amz-Meta-A", "  one\r\n two\t"}, {"x-amz-meta-a", "3"}};
    request.headers = fields;
    request.header_count = 2;
    struct buffer target = BUFFER_INIT(4096), headers = BUFFER_INIT(4096);
    assert_int_equal(sigv4_sign(&request, &temporary, &target, &headers, NULL), 0);
    const char *start = "x-amz-content-sha256: " SHA256_OF_NOTHING "\n"
                        "x-amz-date: 20130524T000000Z\n"
                        "x-amz-meta-a: one two,3\n"
                        "x-amz-security-token: token+/=&\n"
                        "Authorization: AWS4-HMAC-SHA256 "
                        "Credential=AKIDEXAMPLE/20130524/us-east-1/s3/aws4_request, "
                        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;"
                        "x-amz-security-token, Signature=";
    assert_memory_equal(headers.data, start, strlen(start));
    assert_int_equal(headers.length, strlen(start) + 65);
    buffer_free(&target);
    buffer_free(&headers);
}

static void what_cannot_be_signed_is_refused(void **state)
{
    (void)state;
    struct buffer target = BUFFER_INIT(4096), headers = BUFFER_INIT(4096);
    struct error error = ERROR_INIT;
    struct sigv4_request request = s3_request("GET", "/k");
    struct sigv4_pair many[SIGV4_MAX_PAIRS];
    for (size_t i = 0; i < SIGV4_MAX_PAIRS; i++)
        many[i] = (struct sigv4_pair){"a", "b"};

    request.region = "us/east";
    assert_int_equal(sigv4_sign(&request, &example, &target, &headers, &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "us/east"));
    request.region = "";
    assert_int_equal(sigv4_sign(&request, &example, &target, &headers, &error), ERR_INVALID);
    request = s3_request("GET", "k");
    assert_int_equal(sigv4_sign(&request, &example, &target, &headers, &error), ERR_INVALID);
    request = s3_request("GET", "/k");
    request.time_ns = INT64_MAX;
    request.headers = &(const struct sigv4_pair){"x: y", "z"};
    request.header_count = 1;
    assert_int_equal(sigv4_sign(&request, &example, &target, &headers, &error), ERR_INVALID);
    request.headers = &(const struct sigv4_pair){"x", "\x01"};
    assert_int_equal(sigv4_sign(&request, &example, &target, &headers, &error), ERR_INVALID);
    request.headers = many;
    request.header_count = SIGV4_MAX_PAIRS;
    assert_int_equal(sigv4_sign(&request, &example, &target, &headers, &error), ERR_INVALID);
    assert_int_equal(sigv4_presign(&request, &example, 60, &target, &error), ERR_INVALID);
    request = s3_request("GET", "/k");
    request.query = many;
    request.query_count = SIGV4_MAX_PAIRS;
    assert_int_equal(sigv4_presign(&request, &example, 60, &target, &error), ERR_INVALID);
    request.query_count = 0;
    assert_int_equal(sigv4_presign(&request, &example, 0, &target, &error), ERR_INVALID);
    assert_int_equal(sigv4_presign(&request, &example, 604801, &target, &error), ERR_INVALID);
    assert_int_equal(target.length, 0);
    assert_int_equal(sigv4_presign(&request, &example, 604800, &target, &error), 0);

    struct buffer small = BUFFER_INIT(16);
    assert_int_equal(sigv4_sign(&request, &example, &small, &headers, &error), 0);
    assert_int_equal(sigv4_presign(&request, &example, 60, &small, &error), ERR_LIMIT);
    buffer_free(&small);
    buffer_free(&target);
    buffer_free(&headers);
}

static void base64_is_as_the_standard_says(void **state)
{
    (void)state;
    /* RFC 4648, section 10. */
    static const char *const vectors[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char text[BASE64_SIZE(6) + 1];
        base64_text(text, vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(text, vectors[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_cases_are_signed_as_published),
        cmocka_unit_test(the_s3_manuals_examples_are_signed_as_printed),
        cmocka_unit_test(the_s3_manuals_presigned_url_is_the_printed_one),
        cmocka_unit_test(hostile_keys_are_encoded_once_and_signed),
        cmocka_unit_test(queries_are_sorted_by_encoded_name_then_value),
        cmocka_unit_test(other_services_sign_the_path_normalized_and_encoded_twice),
        cmocka_unit_test(what_is_sent_is_what_was_signed),
        cmocka_unit_test(what_cannot_be_signed_is_refused),
        cmocka_unit_test(base64_is_as_the_standard_says),
    };
    return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
