#include "recorder/cast/text_run.h"

#include <string.h>

#include "recorder/cast/plain_run.h"
#include "recorder/cast/utf8.h"

size_t text_run_copy_portable(char *to, const uint8_t *from, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t size = plain_run(from + at, length - at);
        if (size == 0 && (from[at] < 0x80 || utf8_next(from + at, length - at, &size) != UTF8_GOOD))
            break;
        memcpy(to + at, from + at, size);
        at += size;
    }
    return at;
}

#ifdef __x86_64__

#include <immintrin.h>

#define WIDE __attribute__((target("avx2")))
#define BLOCK sizeof(__m256i)

/* Validation is that of Keiser and Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte"
 * (2021): each pair of neighbouring bytes is looked up by three half bytes. A bit that all three
 * have is an error of the pair. The error is found at the pair's second byte. */
enum {
    TOO_SHORT = 1 << 0,  /* a lead byte and no continuation */
    TOO_LONG = 1 << 1,   /* ASCII and a continuation */
    OVERLONG_3 = 1 << 2, /* e0 and below a0 */
    TOO_LARGE = 1 << 3,  /* f4 and above 8f, and f5 to ff */
    SURROGATE = 1 << 4,  /* ed and above 9f */
    OVERLONG_2 = 1 << 5, /* c0 and c1 */
    OVERLONG_4 = 1 << 6, /* f0 and below 90; also f5 to ff and 80 to 8f */
    /* No error if the second one is a character's third or fourth byte, which is looked at apart.
     */
    TWO_CONTINUATIONS = 1 << 7,
    ANY_LOW = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS,
    LARGE = TOO_LARGE | OVERLONG_4,
    CONTINUATION = TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS,
};

#define TABLE(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)
#define SIGNED(bits) ((char)(bits))

/* The bytes `count` before each of `now`; `before` is the block before. */
#define SHIFTED(now, before, count)                                                                \
    _mm256_alignr_epi8(now, _mm256_permute2x128_si256(before, now, 0x21), 16 - (count))

WIDE static inline __m256i high_half(__m256i bytes)
{
    return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
}

/* Not 0 at each byte that cannot follow what is before it. */
WIDE static inline __m256i utf8_errors(__m256i now, __m256i before)
{
    const __m256i first_high = TABLE(
        TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
        SIGNED(TWO_CONTINUATIONS), SIGNED(TWO_CONTINUATIONS), SIGNED(TWO_CONTINUATIONS),
        SIGNED(TWO_CONTINUATIONS), TOO_SHORT | OVERLONG_2, TOO_SHORT,
        TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | OVERLONG_4);
    const __m256i first_low = TABLE(
        SIGNED(ANY_LOW | OVERLONG_2 | OVERLONG_3 | OVERLONG_4), SIGNED(ANY_LOW | OVERLONG_2),
        SIGNED(ANY_LOW), SIGNED(ANY_LOW), SIGNED(ANY_LOW | TOO_LARGE), SIGNED(ANY_LOW | LARGE),
        SIGNED(ANY_LOW | LARGE), SIGNED(ANY_LOW | LARGE), SIGNED(ANY_LOW | LARGE),
        SIGNED(ANY_LOW | LARGE), SIGNED(ANY_LOW | LARGE), SIGNED(ANY_LOW | LARGE),
        SIGNED(ANY_LOW | LARGE), SIGNED(ANY_LOW | LARGE | SURROGATE), SIGNED(ANY_LOW | LARGE),
        SIGNED(ANY_LOW | LARGE));
    const __m256i second_high = TABLE(
        TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
        SIGNED(CONTINUATION | OVERLONG_3 | OVERLONG_4),
        SIGNED(CONTINUATION | OVERLONG_3 | TOO_LARGE), SIGNED(CONTINUATION | SURROGATE | TOO_LARGE),
        SIGNED(CONTINUATION | SURROGATE | TOO_LARGE), TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT);
    __m256i one = SHIFTED(now, before, 1);
    __m256i pairs = _mm256_and_si256(
        _mm256_and_si256(
            _mm256_shuffle_epi8(first_high, high_half(one)),
            _mm256_shuffle_epi8(first_low, _mm256_and_si256(one, _mm256_set1_epi8(15)))),
        _mm256_shuffle_epi8(second_high, high_half(now)));
    /* Keeps the top bit where the byte two before is e0 or more, or the one three before f0. */
    __m256i third = _mm256_subs_epu8(SHIFTED(now, before, 2), _mm256_set1_epi8(0xe0 - 0x80));
    __m256i fourth = _mm256_subs_epu8(SHIFTED(now, before, 3), _mm256_set1_epi8(0xf0 - 0x80));
    __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(must, pairs);
}

/* A bit for each byte that ends the run; the lowest is where. */
WIDE static inline uint32_t ends(__m256i now, __m256i before)
{
    const __m256i last_control = _mm256_set1_epi8(0x1f);
    __m256i stops = _mm256_or_si256(
        _mm256_cmpeq_epi8(_mm256_min_epu8(now, last_control), now),
        _mm256_or_si256(_mm256_cmpeq_epi8(now, _mm256_set1_epi8('"')),
                        _mm256_cmpeq_epi8(now, _mm256_set1_epi8('\\'))));
    uint32_t found = (uint32_t)_mm256_movemask_epi8(stops);
    if (_mm256_movemask_epi8(_mm256_or_si256(now, before)) == 0)
        return found;
    __m256i good = _mm256_cmpeq_epi8(utf8_errors(now, before), _mm256_setzero_si256());
    return found | ~(uint32_t)_mm256_movemask_epi8(good);
}

/* Where the last whole character before `at` ends. All before `at` could be the beginning of
 * well-formed text. */
static size_t whole(const uint8_t *from, size_t at)
{
    for (size_t back = 1; back <= 3 && back <= at; back++) {
        uint8_t byte = from[at - back];
        if (byte < 0x80)
            break;
        if (byte >= 0xc0) {
            size_t need = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
            return need > back ? at - back : at;
        }
    }
    return at;
}

WIDE static size_t run_wide(char *to, const uint8_t *from, size_t length)
{
    __m256i before = _mm256_setzero_si256();
    size_t at = 0;
    for (; length - at >= BLOCK; at += BLOCK) {
        __m256i now = _mm256_loadu_si256((const __m256i_u *)(from + at));
        _mm256_storeu_si256((__m256i_u *)(to + at), now);
        uint32_t found = ends(now, before);
        if (found)
            return whole(from, at + (size_t)__builtin_ctz(found));
        before = now;
    }
    /* Behind the rest come zeros, which end it. */
    uint8_t rest[BLOCK] = {0};
    size_t left = length - at;
    memcpy(rest, from + at, left);
    memcpy(to + at, from + at, left);
    uint32_t found = ends(_mm256_loadu_si256((const __m256i_u *)rest), before);
    return whole(from, at + (size_t)__builtin_ctz(found));
}

size_t text_run_copy(char *to, const uint8_t *from, size_t length)
{
    if (__builtin_cpu_supports("avx2"))
        return run_wide(to, from, length);
    return text_run_copy_portable(to, from, length);
}

#else

size_t text_run_copy(char *to, const uint8_t *from, size_t length)
{
    return text_run_copy_portable(to, from, length);
}

#endif
