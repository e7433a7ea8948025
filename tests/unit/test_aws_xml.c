/* The XML of answers: paths, text, and everything hostile in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/aws/xml.h"
#include "recorder/base/buffer.h"

static int collect(void *context, const char *path, const char *text)
{
    return buffer_printf(context, "%s=%s;", path, text);
}

static void elements_are_given_with_their_path_and_own_text(void **state)
{
    (void)state;
    struct buffer seen = BUFFER_INIT(1000);
    const char *xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<s:A xmlns:s=\"http://example.com/\">x<B>1 &amp; 2</B>y<C><D/></C></s:A>";
    assert_int_equal(xml_read(xml, strlen(xml), collect, &seen, NULL), 0);
    assert_string_equal(seen.data, "A/B=1 & 2;A/C/D=;A/C=;A=xy;");
    buffer_free(&seen);
}

static void a_single_text_is_found_or_not(void **state)
{
    (void)state;
    char text[8];
    const char *xml = "<Error><Code>SlowDown</Code><Bucket>b</Bucket></Error>";
    assert_true(xml_text(xml, strlen(xml), "Error/Bucket", text, sizeof(text)));
    assert_string_equal(text, "b");
    assert_false(xml_text(xml, strlen(xml), "Error/Code", text, sizeof(text)));
    assert_false(xml_text(xml, strlen(xml), "Bucket", text, sizeof(text)));
    assert_false(xml_text("<html>", 6, "html", text, sizeof(text)));
    assert_false(xml_text("", 0, "html", text, sizeof(text)));
}

static void entities_of_its_own_are_refused(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    const char *xml = "<!DOCTYPE a [<!ENTITY e \"x\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]>"
                      "<a>&e;&f;</a>";
    struct buffer seen = BUFFER_INIT(1000);
    assert_int_equal(xml_read(xml, strlen(xml), collect, &seen, &error), ERR_DAMAGED);
    assert_non_null(strstr(error.text, "DOCTYPE"));
    assert_int_equal(seen.length, 0);
    buffer_free(&seen);
}

static void broken_deep_and_endless_documents_are_refused(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    assert_int_equal(xml_read("<a><b></a>", 10, NULL, NULL, &error), ERR_DAMAGED);
    assert_non_null(strstr(error.text, "line 1"));
    assert_int_equal(xml_read("<a>", 3, NULL, NULL, &error), ERR_DAMAGED);
    assert_int_equal(xml_read("<a>\xff</a>", 8, NULL, NULL, &error), ERR_DAMAGED);

    struct buffer deep = BUFFER_INIT(1 << 20);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buffer_append_text(&deep, "<a>"), 0);
    assert_int_equal(xml_read(deep.data, deep.length, NULL, NULL, &error), ERR_DAMAGED);
    assert_non_null(strstr(error.text, "deep"));

    buffer_clear(&deep);
    assert_int_equal(buffer_append_text(&deep, "<a>"), 0);
    for (int i = 0; i < XML_MAX_TEXT / 8 + 1; i++)
        assert_int_equal(buffer_append_text(&deep, "12345678"), 0);
    assert_int_equal(buffer_append_text(&deep, "</a>"), 0);
    assert_int_equal(xml_read(deep.data, deep.length, NULL, NULL, &error), ERR_DAMAGED);
    assert_non_null(strstr(error.text, "too long"));
    buffer_free(&deep);
}

static int stop_at_b(void *context, const char *path, const char *text)
{
    (void)text;
    ++*(int *)context;
    return strcmp(path, "a/b") == 0 ? ERR_CANCELLED : 0;
}

static void the_reader_stops_when_told(void **state)
{
    (void)state;
    int calls = 0;
    const char *xml = "<a><c/><b/><c/></a>";
    assert_int_equal(xml_read(xml, strlen(xml), stop_at_b, &calls, NULL), ERR_CANCELLED);
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_given_with_their_path_and_own_text),
        cmocka_unit_test(a_single_text_is_found_or_not),
        cmocka_unit_test(entities_of_its_own_are_refused),
        cmocka_unit_test(broken_deep_and_endless_documents_are_refused),
        cmocka_unit_test(the_reader_stops_when_told),
    };
    return cmocka_run_group_tests_name("aws_xml", tests, NULL, NULL);
}
