/* Any bytes as ID.upload: never an error, and what is taken from it survives being written. */
#include "recorder/spool/spool.h"
#include "recorder/upload/upload_state.h"
#include "tests/fuzz/fuzz.h"

#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spool *spool;
    struct upload_state state, again;
    struct error error = ERROR_INIT;
    if (!spool)
        fuzz_require(spool_open(fuzz_directory(), &spool, NULL) == 0);
    fuzz_write(spool_area(spool, SPOOL_SEALED), ID SPOOL_UPLOAD_SUFFIX, data, size);
    fuzz_require(upload_state_read(spool, ID, &state, &error) == 0 && error.code == 0);
    fuzz_require(upload_state_write(spool, ID, &state, NULL) == 0);
    fuzz_require(upload_state_read(spool, ID, &again, NULL) == 0);
    fuzz_require(strcmp(state.place, again.place) == 0);
    fuzz_require(strcmp(state.cast_key, again.cast_key) == 0);
    fuzz_require(state.cast_stored == again.cast_stored && state.confirmed == again.confirmed);
    fuzz_require(strcmp(state.progress.upload_id, again.progress.upload_id) == 0);
    if (state.progress.upload_id[0]) {
        fuzz_require(state.progress.part_size == again.progress.part_size);
        fuzz_require(state.progress.part_count == again.progress.part_count);
        for (unsigned i = 0; i < state.progress.part_count; i++)
            fuzz_require(memcmp(&state.progress.parts[i], &again.progress.parts[i],
                                sizeof(again.progress.parts[i])) == 0);
    }
    upload_state_free(&state);
    upload_state_free(&again);
    return 0;
}
