/* What stands in front of a key in authorized_keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hooks/proxy/address_patterns.c"
#include "hooks/proxy/config_address.c"
#include "hooks/proxy/key_options.c"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static char reason[KEY_OPTIONS_REASON_SIZE];

static void rights_are_taken_and_given_back_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *text, *forbids; /* P(orts) A(gent) X(11) T(erminal) U(ser-rc) */
    } cases[] = {
        {"no-port-forwarding", "P"},
        {"no-agent-forwarding", "A"},
        {"NO-x11-FORWARDING", "X"},
        {"no-pty", "T"},
        {"no-user-rc", "U"},
        {"no-pty,no-port-forwarding", "PT"},
        {"restrict", "PAXTU"},
        {"restrict,pty", "PAXU"},
        {"restrict,port-forwarding,X11-forwarding", "ATU"},
        {"restrict,agent-forwarding,user-rc", "PXT"},
        {"pty,restrict", "PAXTU"},
        {"restrict,no-pty", "PAXTU"},
        {"pty,port-forwarding", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct key_options options;
        char forbids[KEY_RIGHT_COUNT + 1] = "";
        assert_int_equal(key_options_parse(&options, cases[i].text, reason), 0);
        char *end = forbids;
        for (int right = 0; right < KEY_RIGHT_COUNT; right++)
            if (options.forbids[right])
                *end++ = "PAXTU"[right];
        assert_string_equal(forbids, cases[i].forbids);
        key_options_clear(&options);
    }
}

static void a_value_is_what_stands_between_the_quotes(void **state)
{
    (void)state;
    struct key_options options;
    assert_int_equal(key_options_parse(&options,
                                       "command=\"a \\\"b, c\\\" \\n\",from=\"192.0.2.1\","
                                       "permitopen=\"db:5432\",permitopen=\"[2001:db8::1]:*\","
                                       "permitlisten=\"8080\",permitlisten=\"localhost:*\","
                                       "expiry-time=\"20300102Z\"",
                                       reason),
                     0);
    assert_string_equal(options.command, "a \"b, c\" \\n");
    assert_string_equal(options.from, "192.0.2.1");
    assert_int_equal(options.permit_open_count, 2);
    assert_string_equal(options.permit_open[0], "db:5432");
    assert_string_equal(options.permit_open[1], "[2001:db8::1]:*");
    assert_true(config_permits(options.permit_open, 2, "2001:db8::1", 1));
    assert_false(config_permits(options.permit_open, 2, "db", 5433));
    assert_int_equal(options.permit_listen_count, 2);
    assert_true(config_permits(options.permit_listen, 2, "", 8080));
    assert_true(config_permits(options.permit_listen, 2, "anything", 8080));
    assert_true(config_permits(options.permit_listen, 2, "localhost", 0));
    assert_false(config_permits(options.permit_listen, 2, "127.0.0.1", 0));
    key_options_clear(&options);
    assert_null(options.text);
}

/* Options that are refused, and what is said of them. */
static void what_cannot_be_kept_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "an option without a name"},
        {",", "an option without a name"},
        {"=\"x\"", "an option without a name"},
        {"\"\"", "an option without a name"},
        {"no-pty,,pty", "an option without a name"},
        {"no-pty,", "\"no-pty\" is not followed by"},
        {"environment=\"A=b\"", "\"environment\" is not implemented"},
        {"tunnel=\"0\"", "\"tunnel\" is not implemented"},
        {"principals=\"a\"", "\"principals\" is not implemented"},
        {"cert-authority", "\"cert-authority\" is not implemented"},
        {"verify-required", "\"verify-required\" is not implemented"},
        {"no-pty,some-new-limit", "\"some-new-limit\" is not implemented"},
        {"no-ptyx", "\"no-ptyx\" is not implemented"},
        {"no-no-pty", "\"no-no-pty\" is not implemented"},
        {"restrict=\"yes\"", "\"restrict\" takes no value"},
        {"no-pty=", "\"no-pty\" takes no value"},
        {"no-pty\"x\"", "\"no-pty\" is not followed by"},
        {"command", "\"command\" has no value"},
        {"command=", "\"command\": its value is not in double quotes"},
        {"command=id", "\"command\": its value is not in double quotes"},
        {"command=\"id", "\"command\": a double quote is missing"},
        {"command=\"id\\\"", "\"command\": a double quote is missing"},
        {"command=\"\"", "\"command\" is empty"},
        {"from=\"\"", "\"from\" is empty"},
        {"command=\"id\"x", "\"command\" is not followed by"},
        {"command=\"a\",command=\"b\"", "\"command\" is given twice"},
        {"from=\"192.0.2.1\",from=\"192.0.2.1\"", "\"from\" is given twice"},
        {"no-pty,no-pty", "\"no-pty\" is given twice"},
        {"restrict,restrict", "\"restrict\" is given twice"},
        {"no-pty,pty", "\"pty\" contradicts \"no-pty\""},
        {"X11-forwarding,no-x11-forwarding", "\"no-X11-forwarding\" contradicts"},
        {"from=\"host.example\"", "\"from\": \"host.example\" is no address"},
        {"from=\"*.example\"", "host names are not looked up"},
        {"from=\"192.0.2.1,!*.cafe\"", "\"!*.cafe\" is no address"},
        {"from=\"10.0.0.0/33\"", "\"10.0.0.0/33\" has no length of a prefix"},
        {"from=\"10.0.0.0/\"", "has no length of a prefix"},
        {"from=\"10.0.0.0/-1\"", "has no length of a prefix"},
        {"from=\"10.0.0.0/8/8\"", "has no length of a prefix"},
        {"from=\"2001:db8::/129\"", "has no length of a prefix"},
        {"from=\"10.0.0.1/8\"", "\"10.0.0.1/8\" has bits behind its prefix"},
        {"from=\"10.*/8\"", "\"10.*/8\" is no address"},
        {"from=\"10.0.0.1,\"", "\"\" is empty"},
        {"from=\"!\"", "\"!\" is empty"},
        {"from=\"::ffff:192.0.2.1\"", "write it as IPv4"},
        {"from=\"10.1\"", "\"10.1\" is no address"},
        {"expiry-time=\"2030010\"", "\"2030010\" is not YYYYMMDD"},
        {"expiry-time=\"20300229\"", "is not YYYYMMDD"},
        {"expiry-time=\"20301301\"", "is not YYYYMMDD"},
        {"expiry-time=\"203001012460\"", "is not YYYYMMDD"},
        {"expiry-time=\"20300101X\"", "is not YYYYMMDD"},
        {"expiry-time=\"19691231Z\"", "is not YYYYMMDD"},
        {"permitopen=\"db\"", "\"permitopen\": \"db\" is not host:port"},
        {"permitopen=\"5432\"", "is not host:port"},
        {"permitopen=\"db:0\"", "is not host:port"},
        {"permitopen=\"db:65536\"", "is not host:port"},
        {"permitopen=\"2001:db8::1:80\"", "is not host:port"},
        {"permitlisten=\"host:\"", "\"permitlisten\": \"host:\" is not [host:]port"},
        {"permitlisten=\"0\"", "is not [host:]port"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct key_options options;
        assert_int_equal(key_options_parse(&options, cases[i].text, reason), -1);
        assert_null(options.text);
        if (!strstr(reason, cases[i].says))
            fail_msg("%s: says \"%s\" and not \"%s\"", cases[i].text, reason, cases[i].says);
    }
}

/* `before`, `count` times `piece`, `after`. */
static char *long_text(const char *before, const char *piece, size_t count, const char *after)
{
    size_t size = strlen(before) + count * strlen(piece) + strlen(after) + 1;
    char *text = calloc(1, size), *to = text;
    assert_non_null(text);
    to = stpcpy(to, before);
    for (size_t i = 0; i < count; i++)
        to = stpcpy(to, piece);
    stpcpy(to, after);
    return text;
}

static void there_are_limits_to_length_and_number(void **state)
{
    (void)state;
    const struct {
        const char *before, *piece;
        size_t most;
        const char *after, *says;
    } cases[] = {
        {"command=\"", "x", KEY_OPTIONS_MAX_COMMAND, "\"", "\"command\": has more than 4096"},
        {"no-pty", ",permitopen=\"a:1\"", KEY_OPTIONS_MAX_PERMITS, "",
         "\"permitopen\": there are more than 64"},
        {"no-pty", ",permitlisten=\"1\"", KEY_OPTIONS_MAX_PERMITS, "",
         "\"permitlisten\": there are more than 64"},
        {"from=\"192.0.2.1", ",192.0.2.2", ADDRESS_PATTERNS_MAX - 1, "\"",
         "is one pattern too many"},
    };
    struct key_options options;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t more = 0; more < 2; more++) {
            char *text = long_text(cases[i].before, cases[i].piece, cases[i].most + more,
                                   cases[i].after);
            assert_int_equal(key_options_parse(&options, text, reason), more ? -1 : 0);
            assert_int_equal(more, strstr(reason, cases[i].says) != NULL);
            key_options_clear(&options);
            free(text);
        }
    char *text = long_text("", "x", KEY_OPTIONS_MAX_LENGTH, "");
    assert_int_equal(key_options_parse(&options, text, reason), -1);
    assert_non_null(strstr(reason, "is not implemented"));
    assert_true(strlen(reason) < 100);
    free(text);
    text = long_text("", "x", KEY_OPTIONS_MAX_LENGTH + 1, "");
    assert_int_equal(key_options_parse(&options, text, reason), -1);
    assert_non_null(strstr(reason, "more than 16384 bytes"));
    free(text);
}

static void an_address_is_in_a_list_unless_it_is_excluded(void **state)
{
    (void)state;
    static const struct {
        const char *list, *address;
        bool in;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.10", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "203.0.113.9", false},
        {"::/0", "2001:db8::1", true},
        {"192.0.2.1/32", "192.0.2.1", true},
        {"192.0.2.0/24", "::ffff:192.0.2.7", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"2001:DB8:0:0::1", "2001:db8::1", true},
        {"fe80::/10", "fe80::1%eth0", true},
        {"192.0.2.*", "192.0.2.77", true},
        {"192.0.2.*", "192.0.20.77", false},
        {"192.0.2.?", "192.0.2.7", true},
        {"192.0.2.?", "192.0.2.77", false},
        {"*.2.*7", "192.0.2.77", true},
        {"*", "2001:db8::1", true},
        {"2001:DB8:*", "2001:db8::1", true},
        {"10.0.0.0/8,192.0.2.1", "192.0.2.1", true},
        {"10.0.0.0/8,!10.0.0.7", "10.0.0.7", false},
        {"!10.0.0.7,10.0.0.0/8", "10.0.0.7", false},
        {"!10.0.0.7,10.0.0.0/8", "10.0.0.8", true},
        {"*,!10.0.*", "10.0.0.1", false},
        {"*,!10.0.0.0/8", "::ffff:10.0.0.1", false},
        {"!10.0.0.7", "10.0.0.8", false},
        {"*", "unknown", false},
        {"*", "", false},
        {"host.example,*", "192.0.2.1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (address_patterns_match(cases[i].list, cases[i].address) != cases[i].in)
            fail_msg("%s in %s", cases[i].address, cases[i].list);
}

static void a_key_expires_in_local_time_or_utc(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        time_t last;
    } cases[] = {
        {"20260101Z", 1767225600},      {"20260101", 1767225600 + 5 * 3600},
        {"202601010030Z", 1767227400},  {"20260101003015z", 1767227415},
        {"202407011200", 1719853200},   {"20240229Z", 1709164800},
        {"20260101003015", 1767245415},
    };
    setenv("TZ", "XXX5", 1);
    tzset();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct key_options options;
        char text[64];
        snprintf(text, sizeof(text), "expiry-time=\"%s\"", cases[i].text);
        assert_int_equal(key_options_parse(&options, text, reason), 0);
        assert_int_equal(options.expiry, cases[i].last);
        assert_true(key_options_admit(&options, "192.0.2.1", cases[i].last, reason));
        assert_false(key_options_admit(&options, "192.0.2.1", cases[i].last + 1, reason));
        assert_non_null(strstr(reason, "\"expiry-time\""));
        key_options_clear(&options);
    }
}

static void a_key_is_admitted_from_where_it_says(void **state)
{
    (void)state;
    struct key_options options = {0};
    assert_true(key_options_admit(&options, "unknown", 0, reason));
    assert_int_equal(key_options_parse(&options, "from=\"192.0.2.0/24\"", reason), 0);
    assert_true(key_options_admit(&options, "192.0.2.1", 0, reason));
    assert_false(key_options_admit(&options, "198.51.100.1", 0, reason));
    assert_string_equal(reason, "option \"from\" does not admit 198.51.100.1");
    assert_false(key_options_admit(&options, "unknown", 0, reason));
    key_options_clear(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights_are_taken_and_given_back_in_order),
        cmocka_unit_test(a_value_is_what_stands_between_the_quotes),
        cmocka_unit_test(what_cannot_be_kept_is_refused_by_name),
        cmocka_unit_test(there_are_limits_to_length_and_number),
        cmocka_unit_test(an_address_is_in_a_list_unless_it_is_excluded),
        cmocka_unit_test(a_key_expires_in_local_time_or_utc),
        cmocka_unit_test(a_key_is_admitted_from_where_it_says),
    };
    return cmocka_run_group_tests_name("key_options", tests, NULL, NULL);
}
