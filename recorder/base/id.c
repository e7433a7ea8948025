#include "recorder/base/id.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "recorder/base/text.h"

int id_new(char id[ID_SIZE], int64_t wall_ns, struct error *error)
{
    unsigned char raw[16];
    if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
        return error_system(error, "cannot get random bytes for a session id");
    uint64_t ms = (uint64_t)(wall_ns / 1000000);
    for (int i = 0; i < 6; i++)
        raw[i] = (unsigned char)(ms >> (40 - 8 * i));
    raw[6] = (unsigned char)(0x70 | (raw[6] & 0x0f));
    raw[8] = (unsigned char)(0x80 | (raw[8] & 0x3f));
    char hex[33];
    text_hex(hex, raw, sizeof(raw));
    snprintf(id, ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return 0;
}

bool id_is_valid(const char *text)
{
    if (strlen(text) != ID_SIZE - 1 || text[14] != '7' || !strchr("89ab", text[19]))
        return false;
    for (int i = 0; i < ID_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
            return false;
    }
    return true;
}

int64_t id_time_ns(const char *id)
{
    char digits[13];
    unsigned char raw[6];
    snprintf(digits, sizeof(digits), "%.8s%.4s", id, id + 9);
    if (!text_unhex(raw, sizeof(raw), digits))
        return 0;
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | raw[i];
    return ms * 1000000;
}
